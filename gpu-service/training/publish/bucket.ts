/** The releases bucket over S3: the same code for R2 in production and for the local one. Objects are never replaced. */
import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  S3ServiceException,
} from "@aws-sdk/client-s3";
import type { PublishingConfig } from "../config.ts";
import { PublishError, UnreachableError } from "./errors.ts";

const CONTENT_TYPES = [
  [/\.json$/, "application/json"],
  [/./, "application/octet-stream"],
] as const;

export type StoredObject = { key: string; bytes: number; modifiedMs: number };

export class Bucket {
  readonly #client: S3Client;
  readonly #name: string;
  readonly #endpoint: string;

  constructor(
    config: Pick<PublishingConfig, "S3_ENDPOINT" | "S3_ACCESS_KEY_ID" | "S3_SECRET_ACCESS_KEY" | "S3_BUCKET">,
  ) {
    this.#client = new S3Client({
      region: "auto",
      endpoint: config.S3_ENDPOINT,
      forcePathStyle: true,
      credentials: { accessKeyId: config.S3_ACCESS_KEY_ID, secretAccessKey: config.S3_SECRET_ACCESS_KEY },
      // R2 refuses the checksum trailers that the SDK adds by default.
      requestChecksumCalculation: "WHEN_REQUIRED",
      responseChecksumValidation: "WHEN_REQUIRED",
    });
    this.#name = config.S3_BUCKET;
    this.#endpoint = config.S3_ENDPOINT;
  }

  /** False when the key is taken: what lies there is left as it is. */
  async create(key: string, bytes: Uint8Array, signal?: AbortSignal): Promise<boolean> {
    const type = CONTENT_TYPES.find(([pattern]) => pattern.test(key))?.[1];
    const put = new PutObjectCommand({
      Bucket: this.#name,
      Key: key,
      Body: bytes,
      ContentLength: bytes.byteLength,
      ContentType: type,
      IfNoneMatch: "*",
    });
    try {
      await this.#client.send(put, { abortSignal: signal });
      return true;
    } catch (error) {
      if (statusOf(error) === 412) return false;
      throw this.#explain(`write ${key}`, error);
    }
  }

  async read(key: string): Promise<Uint8Array<ArrayBuffer> | null> {
    try {
      const { Body } = await this.#client.send(new GetObjectCommand({ Bucket: this.#name, Key: key }));
      return Body ? Uint8Array.from(await Body.transformToByteArray()) : null;
    } catch (error) {
      if (statusOf(error) === 404) return null;
      throw this.#explain(`read ${key}`, error);
    }
  }

  /** Every key that begins so. */
  async list(prefix: string): Promise<string[]> {
    return (await this.objects(prefix)).map(({ key }) => key);
  }

  async objects(prefix: string): Promise<StoredObject[]> {
    const objects: StoredObject[] = [];
    let token: string | undefined;
    do {
      const command = new ListObjectsV2Command({
        Bucket: this.#name,
        Prefix: prefix,
        ContinuationToken: token,
      });
      const page = await this.#client.send(command).catch((error: unknown) => {
        throw this.#explain(`list ${prefix}`, error);
      });
      for (const { Key, Size, LastModified } of page.Contents ?? []) {
        if (Key !== undefined) {
          objects.push({ key: Key, bytes: Size ?? 0, modifiedMs: LastModified?.getTime() ?? Date.now() });
        }
      }
      token = page.NextContinuationToken;
    } while (token !== undefined);
    return objects;
  }

  /** Fine where there is none. */
  async remove(key: string): Promise<void> {
    await this.#client
      .send(new DeleteObjectCommand({ Bucket: this.#name, Key: key }))
      .catch((error: unknown) => {
        throw this.#explain(`remove ${key}`, error);
      });
  }

  close(): void {
    this.#client.destroy();
  }

  #explain(action: string, error: unknown): unknown {
    if (error instanceof Error && error.name === "AbortError") return error;
    const reason = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    const message = `bucket ${this.#name} at ${this.#endpoint}: cannot ${action} (${reason})`;
    const status = statusOf(error) ?? 0;
    // Refused for what it is, or not answered, cut off, put off.
    const isRefused = status >= 400 && status < 500 && status !== 429;
    return isRefused ? new PublishError(message) : new UnreachableError(message);
  }
}

const statusOf = (error: unknown): number | undefined =>
  error instanceof S3ServiceException ? error.$metadata.httpStatusCode : undefined;
