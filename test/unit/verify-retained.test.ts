import { describe, expect, it } from "vitest";
import { KvPool } from "../../gpu-service/verify/engines/onnx/kv-pool.ts";
import { RetainedPrefixes } from "../../gpu-service/verify/scheduler/retained.ts";

describe("retained prefixes", () => {
  const given = (...entries: [tenant: string, ids: number[]][]) => {
    const store = new RetainedPrefixes<string>(10, 2);
    const gone = entries.flatMap(([tenant, ids], i) =>
      store.keep({ tenant, ids, value: `${i}`, bytes: ids.length }),
    );
    return { store, gone };
  };
  it("are found by the longest that agrees", () => {
    const { store } = given(["t", [1, 2, 3, 9]], ["t", [1, 2, 3, 4, 5]]);
    expect(store.find("t", [1, 2, 3, 4, 6])).toMatchObject({ length: 4, entry: { value: "1" } });
  });
  it("never reach the last id: it has to run", () => {
    expect(given(["t", [1, 2, 3]]).store.find("t", [1, 2, 3])?.length).toBe(2);
  });
  it("are not worth it when too short", () => {
    expect(given(["t", [1, 2, 3]]).store.find("t", [1, 9, 9])).toBeUndefined();
  });
  it("are a tenant's own", () =>
    expect(given(["u", [1, 2, 3]]).store.find("t", [1, 2, 3, 4])).toBeUndefined());
  it("go when the budget is spent, least recently used first", () => {
    const { store, gone } = given(["t", [1, 2, 3]], ["t", [4, 5, 6]]);
    expect(gone).toEqual([]);
    store.find("t", [1, 2, 3, 4]);
    expect(store.keep({ tenant: "t", ids: [7, 8, 9, 9, 9], value: "new", bytes: 5 })).toEqual(["1"]);
    expect(store.keep({ tenant: "t", ids: [0], value: "huge", bytes: 50 })).toEqual(["0", "new", "huge"]);
  });
});

describe("the pool of keys and values", () => {
  const rows = (first: number, n: number) => Float32Array.from({ length: 2 * n * 3 }, (_, i) => first + i);
  const ids = Array.from({ length: 12 }, (_, i) => i);

  function filled(pool: KvPool, first: number) {
    const cache = pool.open({ tenant: "t", ids });
    cache.append(rows(first, 12), rows(first + 0.5, 12), 12, 0, 12);
    return cache;
  }
  it("copies a prefix, so that the rest stays for others", () => {
    const pool = new KvPool(2, 3, 2, 1e6);
    const first = filled(pool, 100);
    const keys = [...first.keys(1).subarray(0, 30)];
    first.release({ tenant: "t", ids });
    const branched = pool.open({ tenant: "t", ids: [...ids.slice(0, 10), 77, 78] });
    expect(branched.length).toBe(10);
    expect([...branched.keys(1)]).toEqual(keys);
    branched.append(rows(0, 1), rows(0, 1), 1, 0, 1);
    const whole = pool.open({ tenant: "t", ids: [...ids, 5] });
    expect(whole.length).toBe(12);
    expect([...whole.keys(1).subarray(0, 30)]).toEqual(keys);
  });
  it("grows without losing what it holds", () => {
    const cache = filled(new KvPool(2, 3, 2, 0), 7);
    const before = [...cache.values(0)];
    for (let i = 0; i < 300; i++) cache.append(rows(1, 1), rows(1, 1), 1, 0, 1);
    expect([...cache.values(0).subarray(0, 36)]).toEqual(before);
    expect(cache.length).toBe(312);
  });
  it("never moves what it holds while there is room", () => {
    const cache = new KvPool(2, 3, 2, 0).open(undefined, 300);
    cache.append(rows(1, 1), rows(1, 1), 1, 0, 1);
    const { buffer } = cache.keys(0);
    for (let i = 1; i < 300; i++) cache.append(rows(1, 1), rows(1, 1), 1, 0, 1);
    expect(cache.keys(0).buffer).toBe(buffer);
  });
  it("takes over a prefix only where there is room for what follows", () => {
    const pool = new KvPool(2, 3, 2, 1e6);
    const first = filled(pool, 100);
    const { buffer } = first.keys(0);
    first.release({ tenant: "t", ids });
    const longer = pool.open({ tenant: "t", ids: [...ids, 5] }, 1000);
    expect(longer.length).toBe(12);
    expect(longer.keys(0).buffer).not.toBe(buffer);
    expect(pool.open({ tenant: "t", ids: [...ids, 5] }, 200).keys(0).buffer).toBe(buffer);
  });
  it("counts what was written against the budget, not what might have been", () => {
    // 12 tokens × 3 floats × 2 layers × keys and values × 4 bytes
    const pool = new KvPool(2, 3, 2, 12 * 3 * 2 * 2 * 4);
    const cache = pool.open(undefined, 100_000);
    cache.append(rows(1, 12), rows(1, 12), 12, 0, 12);
    cache.release({ tenant: "t", ids });
    expect(pool.open({ tenant: "t", ids: [...ids, 5] }).length).toBe(12);
  });
  it("without a budget reuses nothing", () => {
    const pool = new KvPool(2, 3, 2, 0);
    filled(pool, 1).release({ tenant: "t", ids });
    expect(pool.open({ tenant: "t", ids: [...ids, 5] }).length).toBe(0);
  });
  it("refuses a cache that is used after its release", () => {
    const cache = filled(new KvPool(2, 3, 2, 0), 1);
    cache.release();
    expect(() => cache.keys(0)).toThrow("after its release");
    expect(() => cache.release()).toThrow("twice");
  });
});
