/** Tokens that a hostile caller could send (security J1 to J31), made from a genuine one by a caller who lacks the keys. */
import { createHmac, createSign, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { decodePart } from '../support/expectations.ts';
import type { TestServer } from '../support/test-server.ts';

/** The row of the table, what it is, and the string. */
export type Hostile = readonly [row: string, name: string, token: string];

type Json = Readonly<Record<string, unknown>>;

const encode = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

interface Genuine {
  readonly token: string;
  readonly header: Json;
  readonly claims: Json;
  /** As they stand in the token. */
  readonly parts: readonly [string, string, string];
}

function genuineOf(token: string): Genuine {
  const [header = '', claims = '', signature = ''] = token.split('.');
  return {
    token,
    header: decodePart(token, 'header'),
    claims: decodePart(token, 'claims'),
    parts: [header, claims, signature],
  };
}

/** The old payload under another header, signed so. */
const underHeader = ({ parts }: Genuine, header: unknown, signWith: (signed: string) => string): string => {
  const signed = `${encode(header)}.${parts[1]}`;
  return `${signed}.${signWith(signed)}`;
};

const hmacBy =
  (key: string | Buffer) =>
  (signed: string): string =>
    createHmac('sha256', key).update(signed).digest('base64url');

/** J1 to J7: the algorithm is what the key says, never what the token says. */
function algorithms(genuine: Genuine, publicKey: KeyObject, refreshKid: string): Hostile[] {
  const { header, parts, token } = genuine;
  const [, payload, signature] = parts;
  const old = (): string => signature;
  const empty = (): string => '';
  const { alg: _alg, ...withoutAlg } = header;
  const jwk = publicKey.export({ format: 'jwk' });
  const point = Buffer.concat([Buffer.from(jwk.x ?? '', 'base64url'), Buffer.from(jwk.y ?? '', 'base64url')]);
  const publicSpellings: [string, string | Buffer][] = [
    ['JWK text', JSON.stringify(jwk)],
    ['PEM', publicKey.export({ format: 'pem', type: 'spki' })],
    ['PEM without its line end', publicKey.export({ format: 'pem', type: 'spki' }).toString().trim()],
    ['DER', publicKey.export({ format: 'der', type: 'spki' })],
    ['raw point', point],
    ['raw point with its prefix', Buffer.concat([Buffer.from([4]), point])],
    ['empty key', ''],
  ];
  return [
    ...['none', 'None', 'NONE', 'nOnE'].flatMap((alg): Hostile[] => [
      ['J1', `alg ${alg} without a signature`, underHeader(genuine, { ...header, alg }, empty)],
      ['J2', `alg ${alg} with the old signature`, underHeader(genuine, { ...header, alg }, old)],
    ]),
    ['J2', 'the signature cut off', `${parts[0]}.${payload}.`],
    ['J2', 'the signature cut off with its dot', `${parts[0]}.${payload}`],
    ...publicSpellings.map(
      ([name, key]): Hostile => [
        'J3',
        `HS256 by the public key as ${name}`,
        underHeader(genuine, { ...header, alg: 'HS256' }, hmacBy(key)),
      ],
    ),
    [
      'J4',
      'HS256 under the kid of a refresh key',
      underHeader(genuine, { alg: 'HS256', kid: refreshKid, typ: 'at+jwt' }, hmacBy('x')),
    ],
    [
      'J4',
      'HS256 under the kid of a refresh key, as a refresh token',
      underHeader(genuine, { alg: 'HS256', kid: refreshKid, typ: 'rt+jwt' }, hmacBy('x')),
    ],
    [
      'J5',
      'the other type',
      underHeader(genuine, { ...header, typ: header.typ === 'at+jwt' ? 'rt+jwt' : 'at+jwt' }, old),
    ],
    ...['ES384', 'ES512', 'RS256', 'PS256', 'EdDSA', 'ES256K', 'ECDH-ES', 'HS384', 'HS512', 'A128KW'].map(
      (alg): Hostile => ['J6', `alg ${alg}`, underHeader(genuine, { ...header, alg }, old)],
    ),
    ['J7', 'no alg', underHeader(genuine, withoutAlg, old)],
    ...[null, 1, ['ES256'], {}, 'ES256 ', 'es256', ''].map(
      (alg): Hostile => ['J7', `alg ${JSON.stringify(alg)}`, underHeader(genuine, { ...header, alg }, old)],
    ),
    ['J7', 'two algs', underHeader(genuine, JSON.stringify(header).replace('{', '{"alg":"none",'), old)],
    [
      'J7',
      'members in another order',
      underHeader(genuine, { typ: header.typ, kid: header.kid, alg: header.alg }, old),
    ],
    ['J7', 'the same header with a space', underHeader(genuine, JSON.stringify(header).replace(':', ': '), old)],
    ['J5', 'the token twice', `${token}.${token}`],
  ];
}

const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

/** J8: special values, lengths and encodings of an ECDSA signature. */
function signatures({ parts }: Genuine): Hostile[] {
  const signed = `${parts[0]}.${parts[1]}`;
  const old = Buffer.from(parts[2], 'base64url');
  const integer = (value: bigint): string => value.toString(16).padStart(64, '0');
  const special: [string, bigint][] = [
    ['0', 0n],
    ['1', 1n],
    ['n-1', ORDER - 1n],
    ['n', ORDER],
  ];
  const der = (bytes: Buffer): Buffer => {
    const part = (value: Buffer): Buffer => {
      const padded = (value[0] ?? 0) > 127 ? Buffer.concat([Buffer.from([0]), value]) : value;
      return Buffer.concat([Buffer.from([2, padded.length]), padded]);
    };
    const body = Buffer.concat([part(bytes.subarray(0, 32)), part(bytes.subarray(32))]);
    return Buffer.concat([Buffer.from([0x30, body.length]), body]);
  };
  const made: [string, Buffer][] = [
    ...special.flatMap(([r, left]) =>
      special.map(([s, right]): [string, Buffer] => [
        `r=${r}, s=${s}`,
        Buffer.from(integer(left) + integer(right), 'hex'),
      ]),
    ),
    ['64 zero bytes', Buffer.alloc(64)],
    ['63 bytes', old.subarray(0, 63)],
    ['65 bytes', Buffer.concat([old, Buffer.alloc(1)])],
    ['a zero before', Buffer.concat([Buffer.alloc(1), old])],
    ['128 bytes', Buffer.concat([old, old])],
    ['trailing zeros', Buffer.concat([old, Buffer.alloc(2)])],
    ['one byte', Buffer.from([0])],
    ...(old.length === 64 ? [['DER', der(old)] as [string, Buffer]] : []),
  ];
  return made.map(([name, bytes]): Hostile => ['J8', name, `${signed}.${bytes.toString('base64url')}`]);
}

/** J9 to J19: what a header could make a reader follow, fetch, look up or run. */
function headers(genuine: Genuine, trap: string): Hostile[] {
  const { header, parts } = genuine;
  const attacker = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const jwk = attacker.publicKey.export({ format: 'jwk' });
  const mine = (signed: string): string =>
    createSign('sha256').update(signed).sign({ key: attacker.privateKey, dsaEncoding: 'ieee-p1363' }, 'base64url');
  const by = (row: string, name: string, more: Json): Hostile => [
    row,
    name,
    underHeader(genuine, { ...header, ...more }, mine),
  ];
  const { kid: _kid, ...withoutKid } = header;
  const { typ: _typ, ...withoutTyp } = header;
  const kids: [string, unknown][] = [
    ...[null, 1, '', 'k'.repeat(10_240), ['x'], {}].map((kid): [string, unknown] => ['J12', kid]),
    ...['../../../../dev/null', '/proc/self/environ', 'file:///etc/passwd', trap].map((kid): [string, unknown] => [
      'J13',
      kid,
    ]),
    ...["' OR '1'='1", "' UNION SELECT sealed_key FROM signing_keys--", '$(id)', '`id`'].map(
      (kid): [string, unknown] => ['J14', kid],
    ),
    ...['__proto__', 'constructor', 'toString', 'hasOwnProperty'].map((kid): [string, unknown] => ['J15', kid]),
  ];
  return [
    by('J9', 'an embedded key, under the true kid', { jwk }),
    by('J9', 'an embedded key, under its own kid', { jwk, kid: 'attacker' }),
    ...['jku', 'x5u'].map((name) => by('J10', name, { [name]: trap })),
    by('J10', 'x5c', { x5c: ['MIIBszCCAVmgAwIBAgIUe'] }),
    by('J10', 'x5t', { x5t: 'AAAA', 'x5t#S256': 'AAAA' }),
    ...[['exp'], ['b64'], [], 'x', ['unknown'], null].map((crit) =>
      by('J11', `crit ${JSON.stringify(crit)}`, { crit }),
    ),
    ['J11', 'crit with the old signature', underHeader(genuine, { ...header, crit: ['exp'], exp: 1 }, () => parts[2])],
    ['J12', 'no kid', underHeader(genuine, withoutKid, mine)],
    ...kids.map(([row, kid]) => by(row, `kid ${JSON.stringify(kid).slice(0, 40)}`, { kid })),
    by('J16', 'the true kid, another key', {}),
    ...['JWT', `${String(header.typ).slice(0, 2)}+JWT`, `application/${String(header.typ)}`, ['x'], null, ''].map(
      (typ) => by('J18', `typ ${JSON.stringify(typ)}`, { typ }),
    ),
    ['J18', 'no typ', underHeader(genuine, withoutTyp, mine)],
    by('J19', 'b64 false', { b64: false, crit: ['b64'] }),
    ['J19', 'a detached payload', `${parts[0]}..${parts[2]}`],
    ['J19', 'flattened JSON', JSON.stringify({ protected: parts[0], payload: parts[1], signature: parts[2] })],
    [
      'J19',
      'general JSON',
      JSON.stringify({ payload: parts[1], signatures: [{ protected: parts[0], signature: parts[2] }] }),
    ],
  ];
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/** The last letter with a bit set that no byte uses. */
const withUnusedBit = (text: string): string =>
  text.slice(0, -1) + (ALPHABET[ALPHABET.indexOf(text.at(-1) ?? '') ^ 1] ?? '');

/** J20 to J29: other spellings and other shapes. */
function spellings({ token, parts }: Genuine): Hostile[] {
  const [header, payload, signature] = parts;
  const middle = token.length - 20;
  const inside = (text: string): string => token.slice(0, middle) + text + token.slice(middle);
  const rows: Hostile[] = [
    ['J20', '= appended', `${token}=`],
    ['J20', '== appended', `${token}==`],
    ['J20', '= after the payload', `${header}.${payload}=.${signature}`],
    ...[' ', '\t', '\n', '\r\n', '\u00a0', '\0'].map(
      (text): Hostile => ['J21', `${JSON.stringify(text)} inside`, inside(text)],
    ),
    ...['\n', ' ', '\u00a0'].map((text): Hostile => ['J21', `${JSON.stringify(text)} at the end`, token + text]),
    ['J22', 'an unused bit of the signature', `${header}.${payload}.${withUnusedBit(signature)}`],
    ['J23', 'the letters of base64', `${header}.${payload}.+/${signature.slice(2)}`],
    ['J23', 'all of it in base64', parts.map((part) => Buffer.from(part, 'base64url').toString('base64')).join('.')],
    ['J25', 'Bearer in front', `Bearer ${token}`],
    ['J25', 'quotes around', `"${token}"`],
    ['J25', 'spaces around', ` ${token} `],
    ['J26', 'one segment', header],
    ['J26', 'two segments', `${header}.${payload}`],
    ['J26', 'four segments', `${token}.${signature}`],
    ['J26', 'five segments', `${token}.${signature}.${signature}`],
    ['J26', 'two dots', '..'],
    ['J26', 'an empty signature', 'a.b.'],
    ['J26', 'nothing', ''],
    ['J26', '8,000 dots', '.'.repeat(8_000)],
    ['J27', 'JWE, dir', `${encode({ alg: 'dir', enc: 'A256GCM' })}..AAAA.AAAA.AAAA`],
    [
      'J27',
      'JWE, PBES2',
      `${encode({ alg: 'PBES2-HS256+A128KW', enc: 'A256GCM', p2c: 2 ** 31, p2s: 'AAAA' })}.AAAA.AAAA.AAAA.AAAA`,
    ],
    ['J27', 'JWE, zip', `${encode({ alg: 'dir', enc: 'A256GCM', zip: 'DEF' })}..AAAA.AAAA.AAAA`],
    [
      'J27',
      'JWE around a token',
      `${encode({ alg: 'dir', enc: 'A256GCM', cty: 'JWT' })}.AAAA.AAAA.${encode(token)}.AAAA`,
    ],
    ['J28', '8,193 characters', `${header}.${payload}.${'A'.repeat(8_191 - header.length - payload.length)}`],
    ['J28', '8,192 characters', `${header}.${payload}.${'A'.repeat(8_190 - header.length - payload.length)}`],
    ...['\uffff', '😀', '\u202e', 'é'].map((text): Hostile => ['J29', `${JSON.stringify(text)} inside`, inside(text)]),
  ];
  // Where every bit of the last letter is used there is no such other spelling: then it is another signature.
  return rows.filter(([, , other]) => other !== token);
}

/** J30, J31: other contents under the old signature. */
function contents({ header, claims, parts }: Genuine): Hostile[] {
  const bodies = ['x', '[]', '7', 'null', `${JSON.stringify(claims)}x`, '{'];
  const changed = Object.entries(claims).map(([name, value]): [string, Json] => [
    name,
    { ...claims, [name]: typeof value === 'number' ? value + 1 : `${String(value).slice(0, -1)}0` },
  ]);
  const invalid = Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]).toString('base64url');
  return [
    ...bodies.map(
      (body): Hostile => ['J30', `payload ${body.slice(0, 12)}`, `${parts[0]}.${encode(body)}.${parts[2]}`],
    ),
    ...bodies.map((body): Hostile => ['J30', `header ${body.slice(0, 12)}`, `${encode(body)}.${parts[1]}.${parts[2]}`]),
    ['J30', 'payload of invalid UTF-8', `${parts[0]}.${invalid}.${parts[2]}`],
    ['J30', 'header of invalid UTF-8', `${invalid}.${parts[1]}.${parts[2]}`],
    ...changed.map(([name, body]): Hostile => ['J31', `another ${name}`, `${parts[0]}.${encode(body)}.${parts[2]}`]),
    ['J31', 'one claim more', `${parts[0]}.${encode({ ...claims, admin: true })}.${parts[2]}`],
    ['J30', 'the header for the payload', `${parts[0]}.${encode(header)}.${parts[2]}`],
  ];
}

/** Keys that are in the ring and did not sign: J16. */
async function otherKeys(server: TestServer, { header, parts }: Genuine): Promise<Hostile[]> {
  const { access, refresh } = await server.app.keys.current();
  const others = [...access.byId.keys(), ...refresh.byId.keys()].filter((kid) => kid !== header.kid);
  return ['a-key-that-is-gone', ...others].map(
    (kid): Hostile => ['J16', 'the kid of another key', `${encode({ ...header, kid })}.${parts[1]}.${parts[2]}`],
  );
}

/**
 * @param token genuine, of either kind
 * @param trap a URL that nobody must open
 */
export async function hostileTokens(server: TestServer, token: string, trap: string): Promise<Hostile[]> {
  const genuine = genuineOf(token);
  const { access, refresh } = await server.app.keys.current();
  return [
    ...algorithms(genuine, access.active.publicKey, refresh.active.kid),
    ...signatures(genuine),
    ...headers(genuine, trap),
    ...spellings(genuine),
    ...contents(genuine),
    ...(await otherKeys(server, genuine)),
  ].filter(([, , other]) => other !== token);
}
