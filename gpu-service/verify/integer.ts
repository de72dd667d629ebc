/** A bounded whole number in the environment. */
import { z } from "zod";

/** Digits only: an empty variable would otherwise count as 0, which is a value to some keys. */
export const integer = (least: number, most: number) =>
  z
    .string()
    .regex(/^\d{1,9}$/, "must be a whole number")
    .transform(Number)
    .pipe(z.number().min(least).max(most));
