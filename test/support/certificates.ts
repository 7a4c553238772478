/**
 * X.509 certificates for loopback servers, made when a test runs: a key in the repository would be one that somebody
 * trusts some day, and a certificate in it would run out.
 */
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';

export interface Certificate {
  /** PEM. */
  readonly certificate: string;
  /** PEM. */
  readonly key: string;
}

export interface Authority {
  readonly certificate: string;
  /** @param days of its validity from now; a negative number is one that has run out */
  issue(names: { readonly address?: string; readonly host?: string }, days?: number): Certificate;
}

function tlv(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const value = Buffer.concat(parts);
  const { length } = value;
  if (length < 0x80) return Buffer.concat([Buffer.from([tag, length]), value]);
  const bytes = length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...bytes]), value]);
}

const sequence = (...parts: readonly Uint8Array[]): Buffer => tlv(0x30, ...parts);
const integer = (value: number): Buffer => tlv(0x02, Buffer.from([value]));
const bits = (value: Uint8Array): Buffer => tlv(0x03, Buffer.from([0]), value);
const oid = (...bytes: readonly number[]): Buffer => tlv(0x06, Buffer.from(bytes));

// 1.2.840.10045.4.3.2, 2.5.4.3, 2.5.29.19, 2.5.29.17
const ECDSA_SHA256 = oid(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02);
const COMMON_NAME = oid(0x55, 0x04, 0x03);
const BASIC_CONSTRAINTS = oid(0x55, 0x1d, 0x13);
const SUBJECT_ALT_NAME = oid(0x55, 0x1d, 0x11);

const name = (text: string): Buffer => sequence(tlv(0x31, sequence(COMMON_NAME, tlv(0x0c, Buffer.from(text)))));
const DAY_MS = 86_400_000;
/** GeneralizedTime: `20260301120000Z`. */
const time = (days: number): Buffer => {
  const digits = new Date(Date.now() + days * DAY_MS).toISOString().replace(/\D/g, '').slice(0, 14);
  return tlv(0x18, Buffer.from(`${digits}Z`));
};
const extension = (id: Buffer, value: Buffer): Buffer => sequence(id, tlv(0x04, value));
const pem = (der: Buffer): string =>
  `-----BEGIN CERTIFICATE-----\n${der.toString('base64').replace(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`;

interface Wanted {
  readonly serial: number;
  readonly issuer: string;
  readonly subject: string;
  readonly days: number;
  readonly publicKey: KeyObject;
  readonly extensions: readonly Buffer[];
}

/** RFC 5280 §4.1, no more of it than OpenSSL asks for. */
function certify({ serial, issuer, subject, days, publicKey, extensions }: Wanted, signer: KeyObject): string {
  const algorithm = sequence(ECDSA_SHA256);
  const body = sequence(
    tlv(0xa0, integer(2)),
    integer(serial),
    algorithm,
    name(issuer),
    sequence(time(Math.min(days, 0) - 1), time(days)),
    name(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    tlv(0xa3, sequence(...extensions)),
  );
  return pem(sequence(body, algorithm, bits(sign('sha256', body, signer))));
}

export function makeAuthority(): Authority {
  const issuer = 'Test authority';
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const isAuthority = extension(BASIC_CONSTRAINTS, sequence(tlv(0x01, Buffer.from([0xff]))));
  const certificate = certify(
    { serial: 1, issuer, subject: issuer, days: 1, publicKey, extensions: [isAuthority] },
    privateKey,
  );
  let serial = 1;
  return {
    certificate,
    issue({ address, host }, days = 1) {
      serial += 1;
      const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const names = [
        ...(address === undefined ? [] : [tlv(0x87, Buffer.from(address.split('.').map(Number)))]),
        ...(host === undefined ? [] : [tlv(0x82, Buffer.from(host))]),
      ];
      const extensions = [extension(SUBJECT_ALT_NAME, sequence(...names))];
      return {
        certificate: certify(
          { serial, issuer, subject: 'Test server', days, publicKey: pair.publicKey, extensions },
          privateKey,
        ),
        key: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      };
    },
  };
}
