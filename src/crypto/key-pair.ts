/** Making keys, and reading them from and into the form in which they are stored. */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  generateKeyPair,
  type KeyObject,
  randomBytes,
  type webcrypto,
} from 'node:crypto';
import { promisify } from 'node:util';
import type { KeyId } from '../domain/ids.ts';
import type { SigningAlgorithm } from '../domain/signing-key.ts';

const generate = promisify(generateKeyPair);

/** What is stored of a key: the private part as text, to be sealed; the public part as JWK, to be published. */
export interface NewKey {
  readonly kid: KeyId;
  readonly alg: SigningAlgorithm | 'HS256';
  readonly publicJwk: Readonly<Record<string, unknown>> | null;
  /** Private JWK as JSON, or the HS256 secret as base64url. */
  readonly material: string;
}

/** Members that a thumbprint is taken over, in their order (RFC 7638 §3.2; RFC 8037 §2). */
const THUMBPRINT_MEMBERS: Readonly<Record<string, readonly string[]>> = {
  EC: ['crv', 'kty', 'x', 'y'],
  OKP: ['crv', 'kty', 'x'],
  RSA: ['e', 'kty', 'n'],
};

/** RFC 7638 thumbprint with SHA-256, the `kid` of an asymmetric key. */
export function thumbprint(jwk: Readonly<Record<string, unknown>>): KeyId {
  const members = THUMBPRINT_MEMBERS[String(jwk.kty)] ?? [];
  const canonical = JSON.stringify(Object.fromEntries(members.map((member) => [member, jwk[member]])));
  return createHash('sha256').update(canonical).digest('base64url') as KeyId;
}

function keyPair(alg: SigningAlgorithm): Promise<{ publicKey: KeyObject; privateKey: KeyObject }> {
  if (alg === 'ES256') return generate('ec', { namedCurve: 'P-256' });
  if (alg === 'EdDSA') return generate('ed25519');
  return generate('rsa', { modulusLength: 2048 });
}

/** A fresh key pair, or a fresh HS256 secret of 256 bits (RFC 7518 §3.2) with a random `kid`. */
export async function makeKey(alg: SigningAlgorithm | 'HS256'): Promise<NewKey> {
  if (alg === 'HS256') {
    return {
      kid: randomBytes(16).toString('base64url') as KeyId,
      alg,
      publicJwk: null,
      material: randomBytes(32).toString('base64url'),
    };
  }
  const { publicKey, privateKey } = await keyPair(alg);
  const publicJwk = { ...publicKey.export({ format: 'jwk' }) };
  return { kid: thumbprint(publicJwk), alg, publicJwk, material: JSON.stringify(privateKey.export({ format: 'jwk' })) };
}

/** @throws when the JWK is not a public key */
export const importPublicJwk = (jwk: Readonly<Record<string, unknown>>): KeyObject =>
  createPublicKey({ key: jwk as webcrypto.JsonWebKey, format: 'jwk' });

/** What a key must be for its algorithm (RFC 7518 §3.3, §3.4; RFC 8037 §3.1). */
const FITS: Readonly<Record<SigningAlgorithm, (key: KeyObject) => boolean>> = {
  ES256: ({ asymmetricKeyDetails }) => asymmetricKeyDetails?.namedCurve === 'prime256v1',
  EdDSA: ({ asymmetricKeyType }) => asymmetricKeyType === 'ed25519',
  RS256: ({ asymmetricKeyType, asymmetricKeyDetails }) =>
    asymmetricKeyType === 'rsa' && (asymmetricKeyDetails?.modulusLength ?? 0) >= 2_048,
};

/**
 * The public key of an access key as it was stored. Its `kid` is its thumbprint, so another key in its place is found.
 * @throws unless it is the key of this `kid`, and one for this algorithm
 */
export function importStoredJwk(jwk: Readonly<Record<string, unknown>>, kid: KeyId, alg: SigningAlgorithm): KeyObject {
  const key = importPublicJwk(jwk);
  if (thumbprint(jwk) !== kid || !Object.hasOwn(FITS, alg) || !FITS[alg](key)) {
    throw new Error(`the stored key ${kid} is not what it was`);
  }
  return key;
}

/** @throws when the text is not a private JWK */
export const importPrivateKey = (material: string): KeyObject =>
  createPrivateKey({ key: JSON.parse(material) as webcrypto.JsonWebKey, format: 'jwk' });

/** @throws when the secret is shorter than the hash (RFC 7518 §3.2) */
export function importHmacSecret(material: string): KeyObject {
  const bytes = Buffer.from(material, 'base64url');
  if (bytes.length < 32) throw new Error('an HS256 secret needs 256 bits');
  return createSecretKey(bytes);
}
