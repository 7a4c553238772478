/**
 * What the server counts about itself, for Prometheus (contract §4). It is the only place that knows the library, and it
 * stands alone because every layer but the domain counts. Measured: 0.1 µs a count, 0.5 µs a duration.
 */
import type { ReuseClass } from './domain/rotation.ts';
import { REVOCATION_CAUSES, type RevocationCause } from './domain/token-family.ts';

/** Each list is shown whole from the start: a series that begins with its first event hides that event from `rate()`. */
const REFRESH_OUTCOMES = [
  'rotated',
  'replayed',
  'malformed',
  'expired',
  'mismatch',
  'unknown',
  'revoked',
  'reused',
] as const;
const LOGIN_OUTCOMES = ['issued', 'rejected', 'throttled'] as const;
const VERIFY_OUTCOMES = ['active', 'malformed', 'expired', 'wrong_audience', 'revoked'] as const;
const REUSE_CLASSES = ['late_retry', 'stale', 'fork'] as const satisfies readonly ReuseClass[];

/** `rotated`, `replayed`, or the reason of a rejection (contract §3). */
export type RefreshCount = (typeof REFRESH_OUTCOMES)[number];
export type LoginCount = (typeof LOGIN_OUTCOMES)[number];
export type VerifyCount = (typeof VERIFY_OUTCOMES)[number];

/** One value of a gauge, with its labels. */
export interface GaugeValue {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A figure that is looked up when somebody asks, not counted as it happens. */
export interface GaugeOptions {
  /** Without the prefix that all names share. */
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
  /** Called when somebody looks. What it cannot tell, nobody is told: a failure leaves this gauge out, and no other. */
  read(): Promise<readonly GaugeValue[]>;
}

/** Counts are of this process, since its start. */
export interface Metrics {
  refreshed(outcome: RefreshCount): void;
  reused(reuse: ReuseClass): void;
  loggedIn(outcome: LoginCount): void;
  verified(outcome: VerifyCount): void;
  revoked(cause: RevocationCause): void;
  /** @param route a row of the table of paths, never a path that a caller made up */
  answered(route: string, status: number, seconds: number): void;
  userDirectoryAnswered(seconds: number): void;
  gauge(options: GaugeOptions): void;
  /** The Prometheus text format. */
  render(): Promise<string>;
  /** The media type of that text. */
  readonly type: string;
}

const PREFIX = 'auth_server_';

/** Seconds: from a `/verify` out of memory to a request that runs into its time-out. */
const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** The library is loaded here, because only a server that shows metrics needs it: 40 ms of the start of everything else. */
export async function makeMetrics(): Promise<Metrics> {
  const { Counter, Gauge, Histogram, Registry } = await import('prom-client');
  const registry = new Registry();
  const registers = [registry];

  function counter<Label extends string>(name: string, help: string, label: string, values: readonly Label[]) {
    const series = new Counter({ name: `${PREFIX}${name}`, help, labelNames: [label], registers });
    for (const value of values) series.inc({ [label]: value }, 0);
    return (value: Label): void => series.inc({ [label]: value });
  }
  function histogram(name: string, help: string, labelNames: readonly string[]) {
    return new Histogram({ name: `${PREFIX}${name}`, help, labelNames, buckets: BUCKETS, registers });
  }

  const answers = histogram('http_request_duration_seconds', 'Time from a request to its answer.', ['route', 'status']);
  const directory = histogram('user_directory_duration_seconds', 'Time that the user directory took to answer.', []);
  return {
    refreshed: counter('refresh_total', 'Refreshes, by what came of them.', 'outcome', REFRESH_OUTCOMES),
    reused: counter('reuse_total', 'Spent refresh tokens that came back, by class.', 'class', REUSE_CLASSES),
    loggedIn: counter('login_total', 'Logins, by what came of them.', 'outcome', LOGIN_OUTCOMES),
    verified: counter('verify_total', 'Access tokens that were asked about.', 'outcome', VERIFY_OUTCOMES),
    revoked: counter('revocations_total', 'Sessions that this process ended.', 'cause', REVOCATION_CAUSES),
    answered: (route, status, seconds) => answers.observe({ route, status }, seconds),
    userDirectoryAnswered: (seconds) => directory.observe(seconds),
    gauge({ name, help, labels, read }) {
      new Gauge({
        name: `${PREFIX}${name}`,
        help,
        labelNames: labels,
        registers,
        async collect() {
          this.reset();
          const values = await read().catch(() => []);
          for (const { labels: of, value } of values) this.set(of, value);
        },
      });
    },
    render: () => registry.metrics(),
    type: registry.contentType,
  };
}

const nothing = (): void => undefined;

/** For a process that shows none. */
export const noMetrics: Metrics = {
  refreshed: nothing,
  reused: nothing,
  loggedIn: nothing,
  verified: nothing,
  revoked: nothing,
  answered: nothing,
  userDirectoryAnswered: nothing,
  gauge: nothing,
  render: async () => '',
  type: 'text/plain',
};
