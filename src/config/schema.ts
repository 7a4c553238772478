/**
 * Every key of the configuration, once: its kind and limits, its default and what it is for. The parser, the `Config`
 * type, the environment names, the JSON Schema, the example file and docs/configuration.md all derive from this table.
 */
import { z } from 'zod';
import { SECURITY_EVENT_TYPES } from '../domain/security-event.ts';
import { JWKS_MAX_AGE, SIGNING_ALGORITHMS } from '../domain/signing-key.ts';
import { DAY, HOUR, MINUTE, SECOND } from '../domain/time.ts';
import { LOG_LEVELS } from '../log.ts';
import type { SecretReader } from './secret-source.ts';
import { hasScheme, isDatabaseUrl, locator, masterKeySource, signingSecret, signingSecrets } from './secret-values.ts';
import {
  addressBlock,
  byteSize,
  choice,
  duration,
  group,
  host,
  hostAndPort,
  httpUrl,
  integer,
  issuerUrl,
  key,
  list,
  origin,
  orNull,
  text,
  yesOrNo,
} from './values.ts';

/** Longer is a slip of the keyboard. */
const EVER = 3_650 * DAY;

/** The longest time-out: `setTimeout` overflows at 24.8 days, and nobody waits longer than this. */
const LONGEST_WAIT = HOUR;

const types = () => list(choice(SECURITY_EVENT_TYPES), SECURITY_EVENT_TYPES.length, 'list of event types');

const TYPES = 'Event types to send; an empty list means all.';

const listen = group({
  host: key(
    host(),
    '127.0.0.1',
    'Address that the server listens on. Beyond loopback it needs an https issuer or `server.insecure`.',
  ),
  port: key(integer(0, 65_535), 8080, 'Port that the server listens on; 0 takes a free one and says which.'),
});

const server = group({
  bodyLimit: key(byteSize(1024, 16 * 1024 * 1024), '16KiB', 'Largest request body, as "16KiB" or a number of bytes.'),
  requestTimeout: key(
    duration(1, LONGEST_WAIT),
    '10s',
    'Longest time that a request may take to arrive and be answered.',
  ),
  shutdownTimeout: key(
    duration(1, LONGEST_WAIT),
    '15s',
    'Longest time that a stopping server waits for requests in flight.',
  ),
  maxInFlight: key(integer(1, 1_000_000), 1024, 'Requests worked on at once; more are answered 503.'),
  trustedProxies: key(
    list(addressBlock(), 1000, 'list of addresses and CIDR blocks'),
    [],
    'Proxies whose X-Forwarded-For is believed.',
  ),
  cors: group({
    origins: key(
      list(origin(), 1000, 'list of origins'),
      [],
      'Browser origins that may call the server, each spelled exactly.',
    ),
  }),
  insecure: key(yesOrNo(), false, 'Allows plain http beyond loopback: for a network that nobody else is on.'),
});

const DATABASE = '"sqlite:PATH" or "postgres://user@host/database"';

const database = (reader: SecretReader) =>
  group({
    url: key(
      locator(reader, isDatabaseUrl, DATABASE),
      'sqlite:auth.db',
      'The database: a SQLite file, or Postgres. A secret, as it may hold a password.',
    ),
    poolSize: key(integer(1, 1000), 10, 'Connections to Postgres that one process keeps at most.'),
  });

const masterKey = (reader: SecretReader) =>
  key(
    masterKeySource(reader),
    { file: 'auth-server.key' },
    'Encrypts all keys in the database: 32 random bytes, base64, one line. `serve` makes the file for a new database.',
  );

const tokens = group({
  audience: key(
    text(/^[\x21-\x7e]{1,255}$/, '1 to 255 visible ASCII characters'),
    'api',
    'Audience (`aud`) of access tokens, unless the client has its own.',
  ),
  claims: key(
    list(text(/^[\x21-\x7e]{1,64}$/, 'a claim name of 1 to 64 visible ASCII characters'), 64, 'list of claim names'),
    [],
    'Claims of the user directory that access tokens carry. With the directory "http" it needs `users.http.statusUrl`.',
  ),
  accessTokenTtl: key(duration(SECOND, EVER), '5m', 'Lifetime of an access token; at most that of a refresh token.'),
  refreshTokenTtl: key(duration(SECOND, EVER), '90d', 'Lifetime of a refresh token, each from its own issue.'),
  familyMaxLifetime: key(
    duration(SECOND, EVER),
    '365d',
    'A session ends this long after its login, however often it is refreshed.',
  ),
  idleTimeout: key(orNull(duration(SECOND, EVER)), null, 'A session ends when it is not refreshed for this long.'),
  signingAlgorithm: key(
    choice(SIGNING_ALGORITHMS),
    'ES256',
    'Algorithm of access tokens; a change takes over by schedule.',
  ),
  refresh: group({
    leeway: key(
      duration(0, 5 * MINUTE),
      '0s',
      'How long a spent refresh token without Idempotency-Key still gets its successor; 0s is strict.',
    ),
    replayWindow: key(
      duration(0, 7 * DAY),
      '1h',
      'How long a repeated request with the same Idempotency-Key gets the same refresh token again.',
    ),
    requireAccessToken: key(yesOrNo(), true, 'Whether a refresh must bring the access token of the same session.'),
  }),
});

const keys = group({
  rotateEvery: key(duration(MINUTE, EVER), '30d', 'Age at which a signing key hands over to the next.'),
  publishAhead: key(
    duration(2 * JWKS_MAX_AGE, EVER),
    '1d',
    'How long a key is published before it signs; at least twice the max-age of the JWKS.',
  ),
});

const users = (reader: SecretReader) =>
  group({
    directory: key(choice(['local', 'http']), 'local', 'Who knows the users: the local table, or your user service.'),
    http: group({
      url: key(orNull(httpUrl()), null, 'Where the user service checks a password. The directory "http" needs it.'),
      statusUrl: key(
        orNull(httpUrl()),
        null,
        'Where the user service says whether a user is still active; asked at each refresh.',
      ),
      secret: key(
        orNull(signingSecret(reader)),
        null,
        'Signs the requests to the user service. The directory "http" needs it.',
      ),
      timeout: key(duration(1, MINUTE), '3s', 'Longest time that the user service may take.'),
    }),
  });

const login = group({
  maxFailuresPerUser: key(integer(1, 1_000_000), 10, 'Failed logins of one user within the window; more are refused.'),
  maxFailuresPerAddress: key(
    integer(1, 1_000_000),
    100,
    'Failed logins from one address within the window; more are refused.',
  ),
  window: key(duration(SECOND, 30 * DAY), '15m', 'Time over which failed logins are counted.'),
});

const webhook = (reader: SecretReader) =>
  z
    .strictObject(
      {
        url: httpUrl().describe('Where events are posted.'),
        secret: signingSecrets(reader).describe('Signs the deliveries; two while they are exchanged.'),
        types: types().prefault([]).describe(TYPES),
      },
      { error: 'must be an object with url, secret and types' },
    )
    .transform(({ url, secret, types }) => ({ url, secrets: secret, types }))
    .readonly();

const BROKERS = ['amqp', 'amqps', 'nats', 'redis', 'rediss'];
const BROKER = `a URL that begins with ${BROKERS.map((scheme) => `${scheme}://`).join(', ')}`;

const broker = (reader: SecretReader) =>
  z
    .strictObject(
      {
        url: locator(reader, (url) => hasScheme(url, BROKERS), BROKER).describe('The broker; may hold a password.'),
        types: types().prefault([]).describe(TYPES),
        name: text(/^[A-Za-z0-9_-]{1,64}$/, '1 to 64 letters, digits, "_" and "-"')
          .prefault('auth-events')
          .describe('Name of the exchange (RabbitMQ), of the stream and its subjects (NATS), of the key (Redis).'),
      },
      { error: 'must be an object with url, types and name' },
    )
    .readonly();

const events = (reader: SecretReader) =>
  group({
    webhooks: key(
      list(webhook(reader), 32, 'list of {url, secret, types}'),
      [],
      'Where events are posted, signed by the Standard Webhooks scheme. `secret` is one secret, or two while they are exchanged.',
    ),
    brokers: key(
      list(broker(reader), 32, 'list of {url, types, name}'),
      [],
      'Message brokers that get events: amqp:// (RabbitMQ), nats:// (JetStream), redis:// (Streams).',
    ),
  });

const retention = group({
  refreshTokens: key(
    duration(1, EVER),
    '30d',
    'How long the history of past generations is kept; detection of reuse does not need it.',
  ),
  families: key(duration(1, EVER), '30d', 'How long a session is kept after its last refresh token has expired.'),
  events: key(duration(1, EVER), '90d', 'How long events are kept.'),
});

const metrics = group({
  listen: key(orNull(hostAndPort()), null, 'Where metrics are served for Prometheus; null serves none.'),
});

const log = group({
  level: key(choice(LOG_LEVELS), 'info', 'The least level that is written.'),
  format: key(orNull(choice(['json', 'pretty'])), null, 'How lines look; null is "pretty" on a terminal, else "json".'),
});

/** The whole table. `reader` fetches the secrets, so that what comes out of the parser needs no second step. */
export const configSchema = (reader: SecretReader) =>
  group({
    issuer: key(
      orNull(issuerUrl()),
      null,
      'The `iss` of all tokens; null is `http://{listen.host}:{listen.port}`. A change ends every session.',
    ),
    listen,
    server,
    database: database(reader),
    masterKey: masterKey(reader),
    tokens,
    keys,
    users: users(reader),
    login,
    events: events(reader),
    retention,
    metrics,
    log,
  });

/** The configuration as the table has it; `Config` is what the program uses. */
export type Settings = z.output<ReturnType<typeof configSchema>>;
