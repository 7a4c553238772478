/** Client secrets: 256 random bits, shown once, kept only as a hash, compared in constant time. */
import { hash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Sha256 } from '../domain/ids.ts';
import { Secret } from '../domain/secret.ts';

/** `[A-Za-z0-9_-]`, so that its percent-encoded form is the same. */
export const makeClientSecret = (): Secret => new Secret(randomBytes(32).toString('base64url'));

/** SHA-256 is enough for a secret that is itself random: there is nothing to guess. */
export const sha256 = (text: string): Sha256 => hash('sha256', text, 'base64url') as Sha256;

/** In a time that does not tell how much of them is equal. */
export const equalHashes = (left: Sha256, right: Sha256): boolean => {
  const [a, b] = [Buffer.from(left), Buffer.from(right)];
  return a.length === b.length && timingSafeEqual(a, b);
};
