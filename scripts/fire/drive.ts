/**
 * Load that is driven, for figures: closed (each connection sends when it was answered) to find what a server can do, or
 * open (requests come at their rate, answered or not) to ask more of it than it can. Times are of one clock, ms.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { type Answer, get, openWire, Unanswered, type Wire } from './wire.ts';

/** One request, and who wants its answer: undefined when none came. */
export interface Ask {
  readonly kind: string;
  readonly request: string;
  answered(answer: Answer | undefined, started: number, ended: number): void;
}

export interface Sample {
  readonly kind: string;
  /** 0: no answer came. */
  readonly status: number;
  readonly started: number;
  readonly ms: number;
}

export interface Driven {
  readonly samples: readonly Sample[];
  /** Requests that were due while every connection was busy: the load was less open than asked for. */
  readonly unsent: number;
  /** From the first request until no more were sent. */
  readonly elapsedMs: number;
}

/** `durationMs` ends the asking; answers that are due are waited for. */
export interface DriveOptions {
  readonly port: number;
  readonly connections: number;
  /** Requests per second, however long their answers take; left out, the load is closed. */
  readonly perSecond?: number;
  readonly durationMs: number;
  /** @returns undefined when there is nothing to ask now */
  next(): Ask | undefined;
}

/** Between two looks at what is due, ms. */
const TICK = 1;

/** Connections made at once: more than a listener keeps waiting would be tried again after seconds. */
const CONNECTED_AT_ONCE = 64;

async function connected(port: number, count: number): Promise<Wire[]> {
  const wires = Array.from({ length: count }, () => openWire(port));
  for (let from = 0; from < count; from += CONNECTED_AT_ONCE)
    await Promise.all(wires.slice(from, from + CONNECTED_AT_ONCE).map((wire) => wire.send(get('/healthz'))));
  return wires;
}

/** Connects first, outside of the measured time. Every request has its sample, answered or not. */
export async function drive(options: DriveOptions): Promise<Driven> {
  const wires = await connected(options.port, options.connections);
  const samples: Sample[] = [];
  const began = performance.now();
  const isOver = (): boolean => performance.now() - began >= options.durationMs;
  const unsent =
    options.perSecond === undefined
      ? await driveClosed(wires, options, isOver, samples)
      : await driveOpen(wires, { ...options, perSecond: options.perSecond }, isOver, samples);
  for (const wire of wires) wire.close();
  // Not `Math.max(...)`: there may be more samples than a call takes arguments.
  const last = samples.reduce((latest, { started }) => Math.max(latest, started), began);
  const elapsedMs = last - began;
  return { samples, unsent, elapsedMs };
}

async function ask(wire: Wire, { kind, request, answered }: Ask, samples: Sample[]): Promise<void> {
  const started = performance.now();
  const answer = await wire.send(request).catch((error: unknown) => {
    if (!(error instanceof Unanswered)) throw error;
    return undefined;
  });
  const ended = performance.now();
  samples.push({ kind, status: answer?.status ?? 0, started, ms: ended - started });
  answered(answer, started, ended);
}

async function driveClosed(
  wires: readonly Wire[],
  { next }: DriveOptions,
  isOver: () => boolean,
  samples: Sample[],
): Promise<number> {
  const loop = async (wire: Wire): Promise<void> => {
    while (!isOver()) {
      const one = next();
      if (one === undefined) await delay(TICK);
      else await ask(wire, one, samples);
    }
  };
  await Promise.all(wires.map(loop));
  return 0;
}

async function driveOpen(
  wires: readonly Wire[],
  { next, perSecond }: DriveOptions & { readonly perSecond: number },
  isOver: () => boolean,
  samples: Sample[],
): Promise<number> {
  const idle = [...wires];
  const running = new Set<Promise<void>>();
  const began = performance.now();
  let offered = 0;
  let unsent = 0;
  while (!isOver()) {
    const due = ((performance.now() - began) * perSecond) / 1_000;
    for (; offered < due; offered += 1) {
      const one = idle.length > 0 ? next() : undefined;
      const wire = one === undefined ? undefined : idle.pop();
      if (one === undefined || wire === undefined) {
        unsent += 1;
        continue;
      }
      const asked = ask(wire, one, samples).finally(() => {
        running.delete(asked);
        idle.push(wire);
      });
      running.add(asked);
    }
    await delay(TICK);
  }
  await Promise.all(running);
  return unsent;
}
