/** The configuration as the program uses it: durations are milliseconds, secrets are `Secret`. Built by `load.ts` from `schema.ts`. */
import type { Secret } from '../domain/secret.ts';
import type { SigningAlgorithm } from '../domain/signing-key.ts';
import type { SecurityEventType } from '../domain/security-event.ts';
import type { DurationMs } from '../domain/time.ts';

/** Where a secret comes from; the master key's file is made by `serve` when there is none, so it is read late. */
export type SecretSource =
  | { readonly kind: 'literal'; readonly value: Secret }
  | { readonly kind: 'env'; readonly name: string; readonly value: Secret }
  | { readonly kind: 'file'; readonly path: string };

export interface Webhook {
  readonly url: string;
  /** One, or two while they are exchanged. */
  readonly secrets: readonly Secret[];
  /** Empty: all. */
  readonly types: readonly SecurityEventType[];
}

export interface Broker {
  /** `amqp://…`, `nats://…`, `redis://…`; may hold a password. */
  readonly url: Secret;
  readonly types: readonly SecurityEventType[];
}

export interface Config {
  readonly issuer: string;
  readonly listen: { readonly host: string; readonly port: number };
  readonly server: {
    /** Bytes. */
    readonly bodyLimit: number;
    readonly requestTimeout: DurationMs;
    readonly shutdownTimeout: DurationMs;
    readonly maxInFlight: number;
    /** Addresses and CIDR blocks. */
    readonly trustedProxies: readonly string[];
    readonly cors: { readonly origins: readonly string[] };
    readonly insecure: boolean;
  };
  readonly database: { readonly url: Secret; readonly poolSize: number };
  readonly masterKey: SecretSource;
  readonly tokens: {
    readonly audience: string;
    readonly claims: readonly string[];
    readonly accessTokenTtl: DurationMs;
    readonly refreshTokenTtl: DurationMs;
    readonly familyMaxLifetime: DurationMs;
    readonly idleTimeout: DurationMs | null;
    readonly signingAlgorithm: SigningAlgorithm;
    readonly refresh: {
      readonly leeway: DurationMs;
      readonly replayWindow: DurationMs;
      readonly requireAccessToken: boolean;
    };
  };
  readonly keys: { readonly rotateEvery: DurationMs; readonly publishAhead: DurationMs };
  readonly users: {
    readonly directory: 'local' | 'http';
    /** Set exactly when `directory` is `http`. */
    readonly http: {
      readonly url: string;
      readonly statusUrl: string | null;
      readonly secret: Secret;
      readonly timeout: DurationMs;
    } | null;
  };
  readonly login: {
    readonly maxFailuresPerUser: number;
    readonly maxFailuresPerAddress: number;
    readonly window: DurationMs;
  };
  readonly events: { readonly webhooks: readonly Webhook[]; readonly brokers: readonly Broker[] };
  readonly retention: {
    readonly refreshTokens: DurationMs;
    readonly families: DurationMs;
    readonly events: DurationMs;
  };
  readonly metrics: { readonly listen: { readonly host: string; readonly port: number } | null };
  readonly log: {
    readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error';
    /** `null`: `pretty` on a terminal, else `json`. */
    readonly format: 'json' | 'pretty' | null;
  };
}
