/** Secrets that are recognised wherever they turn up, and the places where they were looked for (security I29). */
import { expect } from 'vitest';

const base64Of = (text: string): string => Buffer.from(text).toString('base64');

/** Each is in use somewhere; none of them may be seen anywhere else. */
export const MARKED = {
  password: 'MARK-password-correct-horse',
  newPassword: 'MARK-password-that-is-new',
  wrongPassword: 'MARK-password-that-is-wrong',
  /** Typed where the username goes, as it happens. */
  mistypedName: 'MARK-password-typed-as-name',
  servicePassword: 'MARK-password-for-the-service',
  databasePassword: 'MARK-database-password',
  brokerPassword: 'MARK-broker-password',
  requestKey: 'MARK-idempotency-key',
  query: 'MARK-token-in-the-query',
  masterKey: base64Of('MARK-master-key-of-32-bytes-0123'),
  otherMasterKey: base64Of('MARK-another-master-key-32-bytes'),
  webhookSecret: `whsec_${base64Of('MARK-webhook-secret-in-the-file-01')}`,
  webhookSecretOfEnv: `whsec_${base64Of('MARK-webhook-secret-of-environment')}`,
  serviceSecret: `whsec_${base64Of('MARK-user-service-secret-in-a-file')}`,
  misplaced: 'MARK-secret-where-none-fits',
} as const;

/** As it would be found in text, in bytes, in a URL and in a header. */
export const encodings = (secret: string): string[] => {
  const bytes = Buffer.from(secret);
  const inner = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
  const isKey = /^(whsec_)?[A-Za-z0-9+/]{32,}=*$/.test(secret);
  return [
    secret,
    encodeURIComponent(secret),
    bytes.toString('hex'),
    bytes.toString('base64').replace(/=+$/, ''),
    ...(isKey ? [inner.toString('latin1'), inner.toString('hex'), inner.toString('base64url')] : []),
  ];
};

/** Header and payload of a token, as nothing but an answer that grants one may hold them. */
const TOKEN = /eyJ[\w-]{10,}\.?[\w-]*/;

export class Places {
  readonly #texts = new Map<string, string>();
  readonly #secrets = new Map<string, string>(Object.entries(MARKED));

  /** A secret that was made on the way. */
  addSecret(name: string, secret: string): void {
    expect(secret.length, name).toBeGreaterThan(20);
    this.#secrets.set(name, secret);
  }

  /** Tokens of an answer that grants them: each, and its signature alone. */
  addTokens(name: string, body: Readonly<Record<string, unknown>>): void {
    for (const kind of ['access_token', 'refresh_token']) {
      const token = body[kind];
      if (typeof token !== 'string') continue;
      this.addSecret(`${kind} of ${name}`, token);
      this.addSecret(`signature of the ${kind} of ${name}`, token.split('.')[2] ?? '');
    }
  }

  /** @param granted what this place alone may hold */
  look(where: string, text: string, granted: readonly string[] = []): void {
    const rest = granted.reduce((left, one) => left.replaceAll(one, ''), text);
    this.#texts.set(`${where} #${this.#texts.size}`, rest);
  }

  /** Fails with each place and the name of what was found there. @returns in how many places it looked */
  expectNone(): number {
    const found: string[] = [];
    for (const [where, text] of this.#texts) {
      for (const [name, secret] of this.#secrets) {
        if (encodings(secret).some((spelling) => text.includes(spelling))) found.push(`${name} in ${where}`);
      }
      const token = TOKEN.exec(text);
      if (token !== null)
        found.push(`a token in ${where}: ${text.slice(Math.max(0, token.index - 60), token.index + 12)}`);
    }
    expect(found, found.join('\n')).toEqual([]);
    return this.#texts.size;
  }
}
