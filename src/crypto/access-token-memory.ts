/**
 * A bounded memory of access tokens known to be genuine: filled at issue and after a verified signature, asked by
 * `/verify` and `/refresh`. It saves the signature check (57 µs); `exp`, audience, key state and revocation are judged
 * each time all the same. The key is the whole string, so another spelling is another token and is checked.
 */
import type { GenuineAccessToken } from './access-token.ts';

/** `get` says only that the signature was genuine when the token came in, not that the token is good now. */
export interface AccessTokenMemory {
  get(token: string): GenuineAccessToken | undefined;
  add(token: string, genuine: GenuineAccessToken): void;
  clear(): void;
}

/** @param half tokens in each of its two halves; when one is full the older half is dropped. About 1.2 KB a token */
export function makeAccessTokenMemory(half = 25_000): AccessTokenMemory {
  let young = new Map<string, GenuineAccessToken>();
  let old = new Map<string, GenuineAccessToken>();
  return {
    get: (token) => young.get(token) ?? old.get(token),
    add(token, genuine) {
      if (young.size >= half) {
        old = young;
        young = new Map();
      }
      young.set(token, genuine);
    },
    clear() {
      young = new Map();
      old = new Map();
    },
  };
}
