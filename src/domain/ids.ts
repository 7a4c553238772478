/**
 * The identifiers of the product, each a type of its own so that none can stand in for another. They are made only by
 * the parsers here and by `uuidv7`; everywhere else they are passed on.
 */
import type { EpochMs } from './time.ts';

declare const brand: unique symbol;
/** A `T` that no plain `T` can stand in for: only a cast makes one. */
export type Brand<T, Name extends string> = T & { readonly [brand]: Name };

/** The `sid` of every token of a family; what a user calls a session. UUIDv7. */
export type FamilyId = Brand<string, 'FamilyId'>;
/** `jti` of a token. UUIDv7. */
export type TokenId = Brand<string, 'TokenId'>;
/** `kid`: the RFC 7638 thumbprint of an asymmetric key, random for an HS256 key. */
export type KeyId = Brand<string, 'KeyId'>;
/** 1 to 64 of `A-Z a-z 0-9 . _ -`, given by an administrator. */
export type ClientId = Brand<string, 'ClientId'>;
/** The user's stable id, given by the user directory: 1 to 255 visible ASCII characters. */
export type Subject = Brand<string, 'Subject'>;
/** UUIDv7. The `webhook-id` and the CloudEvents `id` of its deliveries. */
export type EventId = Brand<string, 'EventId'>;
/** SHA-256, as 43 characters of base64url. */
export type Sha256 = Brand<string, 'Sha256'>;
/** The place of a refresh token in its family: 0 at login, +1 at each rotation. */
export type Generation = Brand<number, 'Generation'>;

/** The client that a login without `client_id` belongs to. */
export const DEFAULT_CLIENT = 'default' as ClientId;

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const CLIENT_ID = /^[A-Za-z0-9._-]{1,64}$/;
const SUBJECT = /^[\x21-\x7e]{1,255}$/;

const isString = (value: unknown): value is string => typeof value === 'string';

/** In its one spelling here: lower case, with hyphens (RFC 9562 §4). */
export const isUuidv7 = (value: unknown): value is string => isString(value) && UUID.test(value);

/** @returns undefined unless it is a UUIDv7 in lower case */
export const parseFamilyId = (value: unknown): FamilyId | undefined =>
  isUuidv7(value) ? (value as FamilyId) : undefined;

/** @returns undefined unless it is a UUIDv7 in lower case */
export const parseTokenId = (value: unknown): TokenId | undefined => (isUuidv7(value) ? (value as TokenId) : undefined);

/** @returns undefined unless it is 1 to 64 of `A-Z a-z 0-9 . _ -` */
export const parseClientId = (value: unknown): ClientId | undefined =>
  isString(value) && CLIENT_ID.test(value) ? (value as ClientId) : undefined;

/** @returns undefined unless it is 1 to 255 visible ASCII characters */
export const parseSubject = (value: unknown): Subject | undefined =>
  isString(value) && SUBJECT.test(value) ? (value as Subject) : undefined;

/** @returns undefined unless it is a whole number from 0 to 2^53 - 1 */
export const parseGeneration = (value: unknown): Generation | undefined =>
  Number.isSafeInteger(value) && (value as number) >= 0 ? (value as Generation) : undefined;

/** The least UUIDv7 of a time: no id that was made then, or later, comes before it. */
export const leastUuidv7 = (at: EpochMs): string => uuidv7(at, new Uint8Array(10));

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/**
 * A UUIDv7 (RFC 9562 §5.7): 48 bits of milliseconds, 74 random bits.
 * @param random at least 10 random bytes
 */
export function uuidv7(now: EpochMs, random: Uint8Array): string {
  const time = Math.max(0, now).toString(16).padStart(12, '0');
  const byte = (index: number): number => random[index] ?? 0;
  const hex = (value: number): string => HEX[value & 0xff] ?? '00';
  return (
    `${time.slice(0, 8)}-${time.slice(8, 12)}-${hex(0x70 | (byte(0) & 0x0f))}${hex(byte(1))}-` +
    `${hex(0x80 | (byte(2) & 0x3f))}${hex(byte(3))}-` +
    hex(byte(4)) +
    hex(byte(5)) +
    hex(byte(6)) +
    hex(byte(7)) +
    hex(byte(8)) +
    hex(byte(9))
  );
}

/** The short form of an id that people read and type: first 8 and last 6 digits of a UUID, first 4 and last 4 of a `kid`. */
export const shortId = (id: FamilyId | TokenId | EventId): string => `${id.slice(0, 8)}..${id.slice(-6)}`;
/** A `kid` of ten characters or fewer is shown whole. */
export const shortKid = (kid: KeyId): string => (kid.length <= 10 ? kid : `${kid.slice(0, 4)}..${kid.slice(-4)}`);
/** A subject as lists show it: a UUID in its short form, any other as it is. */
export const shortSubject = (subject: Subject): string =>
  isUuidv7(subject) ? `${subject.slice(0, 8)}..${subject.slice(-6)}` : subject;
