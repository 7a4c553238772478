/**
 * The cells of the table: which subject is asked what, against which echo it is held, and what it may cost. Goals and
 * floors are ratios, because only those are the same on another machine.
 */
import type { Measured, Pair, Work } from './load.ts';
import { get, post } from './requests.ts';
import { SIZES, type Subject, type SubjectName } from './subjects.ts';

/** One cell: its ratios are of processor time, to that of `against` in the same round. */
export interface Case {
  readonly name: string;
  readonly subject: SubjectName;
  readonly connections: number;
  /** The name of the case whose figures these are divided by; of the same number of connections. */
  readonly against: string | undefined;
  /** Of the processor time for each request. */
  readonly goal?: number;
  /** Above this, the short form fails. */
  readonly floor?: number;
  work(): Work;
  /** Keeps what the next round needs. */
  after(measured: Measured): void;
}

/** What every POST is divided by; see `echo.ts`. */
export const ECHO_POST = 'echo POST';
const ECHO_GET = 'echo GET';

/** `postgres` is undefined where it is left out. */
export interface Subjects {
  readonly echo: Subject;
  readonly sqlite: Subject;
  readonly postgres: Subject | undefined;
}

/** All cases at one number of connections, in the order in which a round runs them. */
export function casesAt(connections: number, { echo, sqlite, postgres }: Subjects, state: RefreshState): Case[] {
  const verified = sqlite.seeded.pairs.slice(0, SIZES.verified);
  const fixed = (requests: readonly string[]) => ({
    work: (): Work => ({ kind: 'fixed', requests }),
    after: () => undefined,
  });
  // Ratios are promises for a busy server; a single caller is shown, and nothing is held against it.
  const limits = (goal: number, floor: number) => (connections > 1 ? { goal, floor } : {});
  const isBusy = connections > 1;

  const cases: Case[] = [
    {
      name: ECHO_POST,
      subject: echo.name,
      connections,
      against: undefined,
      ...fixed(verified.map(({ accessToken }) => post('/', JSON.stringify({ token: accessToken })))),
    },
  ];
  if (isBusy) {
    cases.push({ name: ECHO_GET, subject: echo.name, connections, against: undefined, ...fixed([get('/')]) });
  }
  for (const subject of [sqlite, postgres]) {
    if (subject === undefined) continue;
    const isSqlite = subject.name === 'sqlite';
    cases.push({
      name: `/verify ${subject.name}`,
      subject: subject.name,
      connections,
      against: ECHO_POST,
      ...(isSqlite ? limits(1.15, 1.6) : {}),
      ...fixed(verifyRequests(subject)),
    });
    if (isSqlite && isBusy) {
      cases.push({
        name: `/forward-auth ${subject.name}`,
        subject: subject.name,
        connections,
        against: ECHO_GET,
        ...limits(1.4, 2),
        ...fixed(forwardAuthRequests(subject)),
      });
    }
    cases.push({
      name: `/refresh ${subject.name}`,
      subject: subject.name,
      connections,
      against: ECHO_POST,
      ...(isSqlite ? limits(4.5, 6.5) : {}),
      work: () => ({ kind: 'refresh', pairs: state.pairsOf(subject) }),
      after: ({ pairs }) => state.keep(subject, pairs),
    });
  }
  return cases;
}

function verifyRequests({ seeded }: Subject): string[] {
  const authorization = `Authorization: Basic ${Buffer.from(seeded.credentials).toString('base64')}\r\n`;
  return seeded.pairs
    .slice(0, SIZES.verified)
    .map(({ accessToken }) => post('/verify', JSON.stringify({ token: accessToken }), authorization));
}

const forwardAuthRequests = ({ seeded }: Subject): string[] =>
  seeded.pairs
    .slice(0, SIZES.verified)
    .map(({ accessToken }) =>
      get('/forward-auth', `X-Auth-Server-Client: ${seeded.credentials}\r\nAuthorization: Bearer ${accessToken}\r\n`),
    );

/** The newest pairs of each subject, from one round to the next. */
export interface RefreshState {
  pairsOf(subject: Subject): readonly Pair[];
  keep(subject: Subject, pairs: readonly Pair[]): void;
}

/** Where each family stands; a token that was used once more would end it. */
export function makeRefreshState(): RefreshState {
  const current = new Map<SubjectName, readonly Pair[]>();
  return {
    pairsOf: (subject) => current.get(subject.name) ?? subject.seeded.pairs.slice(SIZES.verified),
    keep: (subject, pairs) => void current.set(subject.name, pairs),
  };
}
