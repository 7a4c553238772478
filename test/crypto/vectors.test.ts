/** Published vectors through our own functions: signatures and thumbprints as the RFCs print them. */
import { createSecretKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { signAsymmetric, signHmac, splitCompact, verifyAsymmetric, verifyHmac } from '../../src/crypto/jws.ts';
import { importPrivateKey, importPublicJwk, thumbprint } from '../../src/crypto/key-pair.ts';
import type { SigningAlgorithm } from '../../src/domain/signing-key.ts';
import { rfc7515A1, rfc7515A3, rfc7638, rfc8037 } from '../vectors/rfc.ts';

const parts = (token: string) => {
  const found = splitCompact(token);
  if (found === undefined) throw new Error('no compact token');
  return found;
};

describe('RFC 7515', () => {
  const key = createSecretKey(Buffer.from(rfc7515A1.k, 'base64url'));

  test('A.1: the HS256 example is made and verified', () => {
    const { signed, signature } = parts(rfc7515A1.token);
    expect(signHmac(signed, key)).toBe(signature);
    expect(verifyHmac(parts(rfc7515A1.token), key)).toBe(true);
  });

  test('A.3: the ES256 example verifies, and what its key signs does', () => {
    const publicKey = importPublicJwk(rfc7515A3.publicJwk);
    expect(verifyAsymmetric(parts(rfc7515A3.token), 'ES256', publicKey)).toBe(true);
    const { signed } = parts(rfc7515A3.token);
    const mine = signAsymmetric(signed, 'ES256', importPrivateKey(JSON.stringify(rfc7515A3.privateJwk)));
    expect(verifyAsymmetric(parts(`${signed}.${mine}`), 'ES256', publicKey)).toBe(true);
  });

  test('a signature of one example is none of the other', () => {
    const { signature } = parts(rfc7515A3.token);
    const { signed } = parts(rfc7515A1.token);
    expect(verifyAsymmetric(parts(`${signed}.${signature}`), 'ES256', importPublicJwk(rfc7515A3.publicJwk))).toBe(
      false,
    );
    expect(verifyHmac(parts(rfc7515A3.token), key)).toBe(false);
  });
});

describe('RFC 7638', () => {
  test('§3.1: the thumbprint of the RSA key, whatever other members it has', () => {
    expect(thumbprint(rfc7638.jwk)).toBe(rfc7638.thumbprint);
    expect(thumbprint({ ...rfc7638.jwk, kid: 'another', use: 'sig', x: 'y' })).toBe(rfc7638.thumbprint);
  });
});

describe('RFC 8037', () => {
  test('A.3: the thumbprint of the Ed25519 key', () => {
    expect(thumbprint(rfc8037.publicJwk)).toBe(rfc8037.thumbprint);
    expect(thumbprint(rfc8037.privateJwk)).toBe(rfc8037.thumbprint);
  });

  test('A.4: the example is made byte for byte', () => {
    const { signed, signature } = parts(rfc8037.token);
    expect(signAsymmetric(signed, 'EdDSA', importPrivateKey(JSON.stringify(rfc8037.privateJwk)))).toBe(signature);
  });

  test('A.5: the example verifies', () => {
    expect(verifyAsymmetric(parts(rfc8037.token), 'EdDSA', importPublicJwk(rfc8037.publicJwk))).toBe(true);
  });
});

interface Vectors {
  readonly groups: readonly {
    readonly comment: string;
    readonly key: Readonly<Record<string, string>>;
    readonly tests: readonly {
      readonly tcId: number;
      readonly comment: string;
      readonly jws: string;
      readonly result: 'valid' | 'invalid';
    }[];
  }[];
}

/** Where our verdict differs from Wycheproof's, and why. */
const DEVIATIONS: Readonly<Record<number, string>> = {
  259: 'an empty payload is valid JWS, but no token of ours: it has no claims',
  367: 'byte for byte the valid vector 357, by a slip of the file',
  370: 'byte for byte the valid vector 357, by a slip of the file',
  372: 'marked valid although a foreign character stands inside the base64url',
  373: 'marked valid although a foreign character stands inside the base64url',
  375: 'whoever holds the key may sign another spelling of a payload; we never do, and nobody else holds it',
};

describe('Wycheproof', () => {
  const file = path.join(import.meta.dirname, '../vectors/wycheproof-jws.json');
  const { groups } = JSON.parse(readFileSync(file, 'utf8')) as Vectors;

  /** As the token readers do it: the header is compared whole with the key's, then the signature is checked. */
  const accepts = (jws: string, key: Readonly<Record<string, string>>, headers: ReadonlySet<string>): boolean => {
    const found = splitCompact(jws);
    if (found === undefined || !headers.has(found.header)) return false;
    if (key.kty === 'oct') return verifyHmac(found, createSecretKey(Buffer.from(key.k ?? '', 'base64url')));
    return verifyAsymmetric(found, key.alg as SigningAlgorithm, importPublicJwk(key));
  };

  test.each(groups)('$comment: every verdict, but for the deviations that have a reason', ({ key, tests }) => {
    const valid = tests.filter((vector) => vector.result === 'valid').map((vector) => vector.jws.split('.')[0] ?? '');
    const headers = new Set(valid);
    const deviating = tests
      .filter(({ jws, result }) => accepts(jws, key, headers) !== (result === 'valid'))
      .map((vector) => vector.tcId);
    expect(deviating).toEqual(tests.map((vector) => vector.tcId).filter((id) => id in DEVIATIONS));
    expect(tests.length).toBeGreaterThan(4);
  });
});
