/** Whether a family is live, for lists and sessions, at each of its three ends; and that a secret cannot be printed. */
import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { Secret } from '../../src/domain/secret.ts';
import { DAY, epochMs } from '../../src/domain/time.ts';
import { familyState, hasEnded } from '../../src/domain/token-family.ts';
import { ENDS, family, ROTATED, revoked } from './families.ts';

const at = (time: number) => epochMs(time);

test('revoked wins over expired', () => {
  expect(familyState(revoked, null, at(ENDS + DAY))).toBe('revoked');
});

test('a family is live until its refresh token expires', () => {
  const { expiresAt } = family.current;
  expect(familyState(family, null, at(expiresAt - 1))).toBe('live');
  expect(familyState(family, null, at(expiresAt))).toBe('expired');
});

test('a family is live until its end, whatever its refresh token says', () => {
  const long = { ...family, current: { ...family.current, expiresAt: at(ENDS + DAY) } };
  expect(familyState(long, null, at(ENDS - 1))).toBe('live');
  expect(familyState(long, null, at(ENDS))).toBe('expired');
});

test('a family is live until it has been idle for as long as its limit', () => {
  expect(hasEnded(family, DAY, at(ROTATED + DAY - 1))).toBe(false);
  expect(hasEnded(family, DAY, at(ROTATED + DAY))).toBe(true);
  expect(familyState(family, DAY, at(ROTATED + DAY))).toBe('expired');
  expect(hasEnded(family, null, at(ROTATED + 300 * DAY))).toBe(false);
});

test('a secret gives itself out to reveal and to nothing else', () => {
  const secret = new Secret('hunter2hunter2');
  expect(secret.reveal()).toBe('hunter2hunter2');
  const shown = [String(secret), `${secret}`, JSON.stringify({ secret }), inspect(secret), inspect({ deep: [secret] })];
  expect(shown.join(' ')).not.toContain('hunter2');
  expect(Object.keys(secret)).toEqual([]);
});
