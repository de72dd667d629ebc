import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Broker } from "../../edge/link/broker.ts";
import { Courier } from "../../edge/link/courier.ts";
import { LinkError, type SequenceEvent, type SequenceSink, type VerifierLink } from "../../edge/link/link.ts";
import { Links } from "../../edge/link/links.ts";
import { Shards } from "../../edge/link/shards.ts";
import { MAX_BACKLOG, type SinkStub, Streams } from "../../edge/link/streams.ts";
import { IDLE_MS, WarmSocket } from "../../edge/link/warm-socket.ts";
import { FakeSocket } from "../support/fake-socket.ts";

const turn = () => new Promise<void>((resolve) => setTimeout(resolve));

describe("a courier", () => {
  it("sends the texts of one turn together, four calls at once, and the rest with the next", async () => {
    const calls: string[][] = [];
    const answers: (() => void)[] = [];
    const courier = new Courier(
      (texts) => {
        calls.push(texts);
        return new Promise<void>((resolve) => answers.push(resolve));
      },
      1e6,
      () => {},
    );
    courier.push("a");
    courier.push("b");
    await turn();
    for (const text of ["c", "d", "e", "f", "g"]) {
      courier.push(text);
      await turn();
    }
    expect(calls).toEqual([["a", "b"], ["c"], ["d"], ["e"]]);
    let done = false;
    courier.whenDone(() => {
      done = true;
    });
    answers.shift()!();
    await turn();
    expect(calls.at(-1)).toEqual(["f", "g"]);
    expect(done).toBe(false);
    for (const answer of answers) answer();
    await turn();
    expect(done).toBe(true);
  });

  it("takes no more than its limit, until some of it has been taken", async () => {
    let answer = () => {};
    const call = () =>
      new Promise<void>((resolve) => {
        answer = resolve;
      });
    const courier = new Courier(call, 100, () => {});
    expect([courier.push("x".repeat(200)), courier.push("y")]).toEqual([true, false]);
    await turn();
    answer();
    await turn();
    expect(courier.push("y")).toBe(true);
  });

  it("says why a call failed", async () => {
    const lost = vi.fn();
    new Courier(() => Promise.reject(new Error("gone")), 100, lost).push("x");
    await turn();
    expect(lost).toHaveBeenCalledExactlyOnceWith("gone");
  });
});

describe("streams of one link", () => {
  const done = (stream: number) =>
    `{"type":"done","stream":${stream},"reason":"length","counts":{"steps":1,"drafted":{},"accepted":{}},` +
    `"timings":{"queued_ms":0,"prefill_ms":0,"decode_ms":0}}`;
  let sent: string[];
  let broken: string[];
  let busy: boolean[];
  let streams: Streams;
  /** A request's function as the object has it. `slow`: it never answers. */
  const request = (slow = false) => {
    const got: string[] = [];
    const stub = Object.assign(
      (texts: string[], why?: string) => {
        got.push(...texts, ...(why === undefined ? [] : [`broken: ${why}`]));
        return slow ? new Promise<void>(() => {}) : Promise.resolve();
      },
      { dup: () => stub, [Symbol.dispose]: vi.fn() },
    ) as SinkStub;
    return { got, stub, stream: streams.add(stub) };
  };
  beforeEach(() => {
    sent = [];
    broken = [];
    busy = [];
    const socket = {
      send: (text: string) => sent.push(text),
      busy: (on: boolean) => busy.push(on),
      breakOff: (message: string) => broken.push(message),
    };
    streams = new Streams(socket);
  });

  it("get their own frames, up to their end, and are let go of then", async () => {
    const a = request();
    const b = request();
    streams.receive(`[2,7,[1]]`);
    streams.receive(`[1,3,[5]]`);
    streams.receive(done(1));
    streams.receive(`[1,4,[5]]`);
    streams.receive(`[99,4,[5]]`);
    await turn();
    expect(a.got).toEqual([`[1,3,[5]]`, done(1)]);
    expect(b.got).toEqual([`[2,7,[1]]`]);
    expect([streams.size, busy.at(-1)]).toEqual([1, true]);
    expect(a.stub[Symbol.dispose]).toHaveBeenCalledOnce();
    streams.receive(done(2));
    expect([streams.size, busy.at(-1)]).toEqual([0, false]);
    expect(sent).toEqual([]);
  });

  it("are cancelled when their request is gone, once", () => {
    const { stub, stream } = request();
    streams.abandon(stream);
    streams.abandon(stream);
    expect(sent).toEqual([`{"type":"cancel","stream":1}`]);
    expect(stub[Symbol.dispose]).toHaveBeenCalledOnce();
    streams.send(stream, ["late"]);
    expect(sent).toHaveLength(1);
  });

  it("end alone where a request takes its frames too slowly", async () => {
    const slow = request(true);
    const other = request();
    const text = `[${slow.stream},7,[${Array(60).fill(123456).join(",")}]]`;
    const most = Math.ceil(MAX_BACKLOG / text.length) + 1;
    for (let n = 0; n < most; n++) streams.receive(text);
    streams.receive(`[2,7,[1]]`);
    await turn();
    expect(slow.got.at(-1)).toBe("broken: the request takes its tokens too slowly");
    expect(other.got).toEqual([`[2,7,[1]]`]);
    expect(streams.size).toBe(1);
    expect(sent).toEqual([`{"type":"cancel","stream":1}`]);
  });

  it("all hear that the link is gone", async () => {
    const both = [request(), request()];
    streams.breakAll("closed");
    await turn();
    for (const { got } of both) expect(got).toEqual(["broken: closed"]);
    expect(streams.size).toBe(0);
  });

  it("break the link off where the verifier says what is no frame", () => {
    request();
    streams.receive("rubbish");
    expect(broken).toEqual(["the verifier sent a bad frame is not JSON"]);
  });
});

describe("a warm socket", () => {
  let socket: FakeSocket;
  let events: string[];
  let warm: WarmSocket;
  const answer = () => vi.spyOn(globalThis, "fetch");
  const works = () => answer().mockResolvedValue({ status: 101, webSocket: socket } as unknown as Response);
  const ready = () => warm.ready("ws://verifier.test:1");
  beforeEach(() => {
    vi.useFakeTimers();
    socket = new FakeSocket();
    events = [];
    const note = (text: string) => events.push(text);
    warm = new WarmSocket({ text: note, broken: note }, () => Date.now());
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.restoreAllMocks();
  });

  it("is opened once for all who wait, and kept", async () => {
    const opening = works();
    expect(await Promise.all([ready(), ready(), ready()])).toEqual([undefined, undefined, undefined]);
    expect(await ready()).toBeUndefined();
    expect(opening).toHaveBeenCalledOnce();
  });

  it("is closed after a minute without sequences, not before, and opened again", async () => {
    const opening = works();
    await ready();
    warm.busy(true);
    for (let minute = 0; minute < 5; minute++) {
      await vi.advanceTimersByTimeAsync(IDLE_MS * 0.99);
      socket.say("x");
    }
    warm.busy(false);
    await vi.advanceTimersByTimeAsync(IDLE_MS - 1);
    expect(socket.closed).toBe(0);
    await vi.advanceTimersByTimeAsync(2);
    expect(socket.closed).toBe(1);
    expect(vi.getTimerCount()).toBe(0);
    expect(events.every((event) => event === "x")).toBe(true);
    await ready();
    expect(opening).toHaveBeenCalledTimes(2);
  });

  it("is given up when the verifier falls silent under its sequences", async () => {
    works();
    await ready();
    for (let half = 0; half < 4; half++) {
      warm.busy(true);
      await vi.advanceTimersByTimeAsync(30_000);
    }
    expect(events).toEqual(["the verifier has said nothing for 60 s"]);
  });

  it("waits longer after each failure, and answers meanwhile at once", async () => {
    const opening = answer().mockRejectedValue(new Error("no route"));
    const waits: number[] = [];
    for (let n = 0; n < 8; n++) {
      const before = Date.now();
      while (opening.mock.calls.length === n) {
        expect(await ready()).toContain("no route");
        await vi.advanceTimersByTimeAsync(10);
      }
      waits.push(Date.now() - before);
    }
    expect(waits.slice(0, 4)).toEqual([10, 250, 500, 1000]);
    expect(waits.at(-1)).toBe(10_000);
    works();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(await ready()).toBeUndefined();
  });
});

describe("shards", () => {
  it("grow before one is full, and shrink when the last is nearly empty", () => {
    const shards = new Shards(() => 0.99);
    expect(shards.pick()).toBe(0);
    shards.note(0, 0.49);
    expect(shards.count).toBe(1);
    shards.note(0, 0.5);
    expect([shards.count, shards.pick()]).toEqual([2, 1]);
    shards.note(1, 0.6);
    expect(shards.count).toBe(3);
    shards.note(0, 0.05);
    expect(shards.count).toBe(3);
    shards.note(2, 0.05);
    expect(shards.count).toBe(2);
    for (let n = 0; n < 20; n++) shards.note(shards.pick(), 1);
    expect(shards.count).toBe(8);
  });
});

describe("the links of a completion", () => {
  const names = (link: "auto" | "own" | "shared", random = 0.999) => {
    const settings = {
      verifierUrls: ["ws://a.test", "ws://b.test"],
      linkKey: { id: "k", secret: "s" },
      link,
    };
    const objects = { getByName: vi.fn() };
    return new Links(settings, () => random).for([1, 2], { objects, place: "X" }).map(({ name }) => name);
  };
  it("are those of its own to each replica, the shared one to the first before them", () => {
    const [first, second] = names("own") as [string, string];
    expect(new Set([first, second])).toEqual(new Set(["ws://a.test", "ws://b.test"]));
    expect(names("shared")).toEqual([first, first, second]);
    expect(names("auto")).toEqual([first, first, second]);
    expect(names("auto", 0)).toEqual([first, second]);
  });
});

describe("the broker", () => {
  const run = async (broker: Broker, way: "own" | "shared", ...events: object[]) => {
    const link: VerifierLink = {
      name: "r",
      async open(_, sink: SequenceSink) {
        if (events.length === 0) throw new LinkError("no answer");
        for (const event of events) sink(event as SequenceEvent);
        return { hint: () => {}, cancel: () => {}, close: () => {} };
      },
    };
    const heard: SequenceEvent[] = [];
    await broker
      .watch(link, way)
      .open({} as never, (event) => heard.push(event))
      .catch((error) => expect(error).toBeInstanceOf(LinkError));
    expect(heard).toEqual(events);
  };
  const done = (trip_ms: number) => ({ type: "done", timings: { trip_ms } });

  it.each([
    [30, 30, "shared"],
    [30, 40, "shared"],
    [30, 45, "own"],
    [100, 10, "shared"],
    // Next door, an object costs more than it saves.
    [1, 1, "own"],
  ] as const)(
    "at %s ms over an own link and %s ms over the shared one takes: %s",
    async (own, shared, way) => {
      const broker = new Broker(() => 0.999);
      for (let n = 0; n < 3; n++) {
        await run(broker, "own", { type: "opened" }, done(own));
        await run(broker, "shared", { type: "opened" }, done(shared));
      }
      expect(broker.choose("r")).toBe(way);
    },
  );

  it("begins with the shared way, and tries a way that it does not know with every fourth request", async () => {
    let random = 0.26;
    const broker = new Broker(() => random);
    expect(broker.choose("r")).toBe("shared");
    random = 0.24;
    expect(broker.choose("r")).toBe("own");
    for (let n = 0; n < 3; n++) {
      await run(broker, "own", done(30));
      await run(broker, "shared", done(30));
    }
    expect(broker.choose("r")).toBe("shared");
    random = 0.03;
    expect(broker.choose("r")).toBe("own");
  });

  it("follows a distance that has changed", async () => {
    const broker = new Broker(() => 0.999);
    await run(broker, "own", done(30));
    await run(broker, "shared", done(10));
    expect(broker.choose("r")).toBe("shared");
    for (let n = 0; n < 12; n++) await run(broker, "shared", done(90));
    expect(broker.choose("r")).toBe("own");
  });

  it("knows that a trip was longer than its text took, where that is news", async () => {
    const broker = new Broker(() => 0.999);
    const over = (trip_over_ms: number) => ({ type: "done", timings: { trip_over_ms } });
    await run(broker, "own", over(5));
    for (let n = 0; n < 9; n++) await run(broker, "own", done(30));
    for (let n = 0; n < 9; n++) await run(broker, "shared", over(20));
    expect(broker.choose("r")).toBe("shared");
    for (let n = 0; n < 9; n++) await run(broker, "own", over(1));
    expect(broker.choose("r")).toBe("shared");
    for (let n = 0; n < 9; n++) await run(broker, "shared", over(200));
    expect(broker.choose("r")).toBe("own");
  });

  it("leaves a shared link alone for a while after failures, longer each time", async () => {
    const broker = new Broker(() => 0.999);
    const detour = () => {
      let requests = 0;
      while (broker.choose("r") === "own") requests++;
      return requests;
    };
    const detours: number[] = [];
    for (let n = 0; n < 8; n++) {
      await run(broker, "shared");
      detours.push(detour());
    }
    expect(detours).toEqual([2, 4, 8, 16, 32, 64, 64, 64]);
    await run(broker, "shared", { type: "opened" }, { type: "broken", message: "reset" });
    expect(detour()).toBe(2);
  });
});
