/** What is said of copies is tried on copies that are none: each is made of a history by one thing that may not be. */
import { describe, expect, test } from 'vitest';
import type { Entry } from '../../scripts/fire/history.ts';
import { type Copied, momentOf } from '../../scripts/fire/moments.ts';

const entry = (family: string, started: number, ended: number, change: Partial<Entry>): Entry => ({
  kind: 'refresh',
  family,
  started,
  ended,
  generation: 0,
  isObedient: true,
  status: 200,
  reason: undefined,
  received: undefined,
  isActive: false,
  ...change,
});
const login = (family: string, started: number, ended: number): Entry =>
  entry(family, started, ended, { kind: 'login', generation: -1 });
const rotation = (family: string, started: number, ended: number, generation: number): Entry =>
  entry(family, started, ended, { generation });
const logout = (family: string, started: number, ended: number): Entry =>
  entry(family, started, ended, { kind: 'end', status: 204 });
const reuse = (family: string, started: number, ended: number): Entry =>
  entry(family, started, ended, { status: 401, reason: 'reused', isObedient: false });

const copied = (generation: number, isRevoked = false): Copied => ({ generation, isRevoked });
const making = { started: 100, ended: 200 };

/** `a` and `b` were there before; during the making `a` goes on, and `b` ends. */
const before = [login('a', 0, 10), login('b', 5, 20), rotation('a', 30, 40, 0), rotation('b', 50, 60, 0)];
const history = [...before, rotation('a', 110, 120, 1), logout('b', 130, 140), login('c', 150, 160)];

const judged = (copy: Readonly<Record<string, Copied>>, of: readonly Entry[] = history) =>
  momentOf(of, new Map(Object.entries(copy)), making);

describe('a copy is one moment', () => {
  test.each([
    ['as it was at its begin', { a: copied(1), b: copied(1) }, { from: 100, to: 120 }],
    ['after the first change', { a: copied(2), b: copied(1) }, { from: 110, to: 140 }],
    ['after the second', { a: copied(2), b: copied(1, true) }, { from: 130, to: 160 }],
    ['as it was at its end', { a: copied(2), b: copied(1, true), c: copied(0) }, { from: 150, to: 200 }],
  ])('%s', (_, copy, moment) => {
    expect(judged(copy)).toEqual({ ...moment, violations: [] });
  });

  test('with or without what overlaps with it, and what was never answered', () => {
    const lost = [...before, rotation('a', 90, Number.POSITIVE_INFINITY, 1), logout('b', 95, 300)];
    for (const a of [1, 2]) {
      for (const isEnded of [false, true])
        expect(judged({ a: copied(a), b: copied(1, isEnded) }, lost).violations).toEqual([]);
    }
  });

  test('when a repeated request was answered late', () => {
    const repeated = [...before, rotation('a', 80, Number.POSITIVE_INFINITY, 1), rotation('a', 210, 220, 1)];
    expect(judged({ a: copied(2), b: copied(1) }, repeated).violations).toEqual([]);
    expect(judged({ a: copied(1), b: copied(1) }, repeated).violations).toEqual([]);
  });
});

describe('a copy is none', () => {
  test.each<[string, Record<string, Copied>, (readonly Entry[])?]>([
    ['without a login that was answered before', { a: copied(1) }],
    ['without a rotation that was answered before', { a: copied(0), b: copied(1) }],
    ['without a logout that was answered before', { a: copied(1), b: copied(1) }, [...before, logout('b', 70, 80)]],
    ['without a reuse that was found before', { a: copied(1), b: copied(1) }, [...before, reuse('b', 70, 80)]],
    [
      'with a rotation that was asked for afterwards',
      { a: copied(2), b: copied(1) },
      [...before, rotation('a', 201, 210, 1)],
    ],
    ['with the later of two changes, and not the earlier', { a: copied(1), b: copied(1, true) }],
    ['with a later login, and not an earlier logout', { a: copied(2), b: copied(1), c: copied(0) }],
    ['with a family that nobody began', { a: copied(1), b: copied(1), d: copied(0) }],
    ['with a generation that nobody asked for', { a: copied(3), b: copied(1) }],
    ['with the end of a family that nobody ended', { a: copied(1, true), b: copied(1) }],
  ])('%s', (_, copy, of) => {
    expect(judged(copy, of).violations).toHaveLength(1);
  });
});
