/**
 * The history checker finds what it is there to find: each rule is broken by a planted violation, and histories that are
 * only confusing (overlaps, lost answers, replays) pass.
 */
import { describe, expect, test } from 'vitest';
import { type Entry, violationsOf } from '../../scripts/fire/history.ts';

const FAMILY = 'a family';

const entry = (started: number, ended: number, change: Partial<Entry> = {}): Entry => ({
  kind: 'refresh',
  family: FAMILY,
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

const rotation = (started: number, ended: number, generation: number, hash = `token ${generation + 1}`): Entry =>
  entry(started, ended, { generation, received: { hash, generation: generation + 1 } });

const unanswered = (started: number, change: Partial<Entry> = {}): Entry =>
  entry(started, Number.POSITIVE_INFINITY, { status: 0, ...change });

const refused = (started: number, ended: number, reason: string, change: Partial<Entry> = {}): Entry =>
  entry(started, ended, { status: 401, reason, ...change });

const found = (history: readonly Entry[], stored = 9): readonly string[] =>
  violationsOf(history, new Map([[FAMILY, stored]])).map(({ rule }) => rule);

describe('a history is clean', () => {
  test('of rotations one after another', () => {
    expect(found([rotation(0, 1, 0), rotation(2, 3, 1), rotation(4, 5, 2)], 3)).toEqual([]);
  });

  test('when an answer is lost and its request repeated', () => {
    expect(found([unanswered(0), rotation(2, 3, 0), rotation(4, 5, 1)], 2)).toEqual([]);
  });

  test('when a replay overlaps with the use of its successor', () => {
    expect(found([rotation(0, 1, 0), rotation(2, 9, 0), rotation(3, 4, 1)], 2)).toEqual([]);
  });

  test('when a refresh overlaps with the end of its family', () => {
    const end = entry(0, 5, { kind: 'end', status: 204 });
    expect(found([end, rotation(1, 6, 0), refused(7, 8, 'revoked', { generation: 1 })])).toEqual([]);
  });

  test('when the end of its family got no answer and a client is refused', () => {
    expect(found([unanswered(0, { kind: 'end' }), refused(1, 2, 'revoked')])).toEqual([]);
  });

  test('when a thief is caught, and the owner refused for it', () => {
    const thief = refused(2, 3, 'reused', { isObedient: false });
    expect(found([rotation(0, 1, 0), thief, refused(4, 5, 'revoked', { generation: 1 })])).toEqual([]);
  });
});

describe('a violation is found:', () => {
  test('two successors of one generation', () => {
    expect(found([rotation(0, 5, 0), rotation(1, 6, 0, 'another')])).toEqual(['two successors']);
  });

  test('a successor that is not the next generation', () => {
    const skipping = entry(0, 1, { received: { hash: 'token 2', generation: 2 } });
    expect(found([skipping])).toEqual(['two successors']);
  });

  test('a spent token is accepted after its successor was used', () => {
    expect(found([rotation(0, 1, 0), rotation(2, 3, 1), rotation(4, 5, 0)])).toEqual(['way back']);
  });

  test.each<[string, Entry]>([
    ['logout', entry(0, 1, { kind: 'end', status: 204 })],
    ['reuse', refused(0, 1, 'reused', { isObedient: false })],
    ['refusal as revoked', refused(0, 1, 'revoked', { isObedient: false })],
  ])('a refresh, or an active token, after a %s', (_, end) => {
    expect(found([end, rotation(2, 3, 0)])).toEqual(['alive after its end']);
    expect(found([end, entry(2, 3, { kind: 'verify', isActive: true })])).toEqual(['alive after its end']);
  });

  test.each(['reused', 'unknown', 'malformed', 'expired', 'mismatch'])(
    'a client that kept the rules is told %s',
    (reason) => {
      expect(found([rotation(0, 1, 0), refused(2, 3, reason, { generation: 1 })])).toEqual(['obedient client refused']);
    },
  );

  test('a client is told revoked when nobody had begun to end its family', () => {
    expect(found([refused(0, 1, 'revoked'), entry(2, 3, { kind: 'end', status: 204 })])).toEqual([
      'obedient client refused',
    ]);
  });

  test('a generation that was answered is not stored, or its family is gone', () => {
    expect(found([rotation(0, 1, 0), rotation(2, 3, 1)], 1)).toEqual(['lost']);
    expect(violationsOf([rotation(0, 1, 0)], new Map())).toMatchObject([{ rule: 'lost', family: FAMILY }]);
  });

  test('in one family of many', () => {
    const other = { ...rotation(0, 1, 0), family: 'another family' };
    const history = [other, rotation(0, 5, 0), rotation(1, 6, 0, 'another')];
    const stored = new Map([
      [FAMILY, 1],
      ['another family', 1],
    ]);
    expect(violationsOf(history, stored).map(({ family }) => family)).toEqual([FAMILY]);
  });
});
