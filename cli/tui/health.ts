/** Health: the figures of the whole, what `doctor` finds, and the log since the screen came up. */
import type { App } from '../../src/app.ts';
import type { Finding } from '../../src/domain/finding.ts';
import { type EpochMs, MINUTE } from '../../src/domain/time.ts';
import { type Figures, readFigures } from '../../src/operations/activity.ts';
import { examine } from '../../src/operations/doctor.ts';
import type { Tone } from '../paint.ts';
import type { Column } from '../table.ts';
import { type Listing, makeListing } from './listing.ts';

interface HealthRow {
  readonly id: string;
  readonly status: string;
  readonly name: string;
  readonly found: string;
  readonly tone: Tone | undefined;
}

const COLUMNS: readonly Column<HealthRow>[] = [
  { title: 'CHECK', value: ({ status }) => status, tone: ({ tone }) => tone },
  { title: 'OF', value: ({ name }) => name },
  { title: 'FOUND', value: ({ found }) => found },
];

const TONES = { ok: 'good', warn: 'warn', fail: 'alarm' } as const;

const ofFinding = ({ name, status, message, remedy }: Finding, index: number): HealthRow => ({
  id: `${index} ${name}`,
  status: status === 'fail' ? 'FAIL' : status,
  name,
  found: remedy === null ? message : `${message} -> ${remedy}`,
  tone: TONES[status],
});

const ofLogLine = (line: string, index: number): HealthRow => {
  const [time = '', ...rest] = line.split(' ');
  return { id: `log ${index}`, status: 'log', name: time, found: rest.join(' '), tone: 'dim' };
};

/** `1 KB`, `3 MB` */
const sizeText = (bytes: number): string =>
  bytes < 1024 * 1024 ? `${Math.ceil(bytes / 1024)} KB` : `${Math.round(bytes / (1024 * 1024))} MB`;

function noteOf({ schema, sessions, wal }: Figures): string {
  return [
    `schema ${schema.current} of ${schema.latest}, ${schema.pending} pending`,
    ...(wal === null ? [] : [`WAL ${sizeText(wal)}`]),
    ...(sessions === undefined ? [] : [`${sessions.toLocaleString('en')} ${sessions === 1 ? 'session' : 'sessions'}`]),
  ].join('; ');
}

interface Known {
  readonly app: App;
  readonly log: () => readonly string[];
  readonly findings: readonly Finding[];
  readonly figures: Figures;
  readonly countedAt: EpochMs;
}

/** What reads a whole table is read when asked, its count each minute; the log is always new. */
export async function loadHealth(app: App, log: () => readonly string[]): Promise<Listing> {
  const findings = await examine(app, { isDefault: true, isQuick: true });
  return listingOf({ app, log, findings, figures: await readFigures(app), countedAt: app.clock.now() });
}

function listingOf(known: Known): Listing {
  const { app, log, findings, figures, countedAt } = known;
  return makeListing({
    rows: [...findings.map(ofFinding), ...log().map(ofLogLine)],
    id: ({ id }) => id,
    columns: () => COLUMNS,
    isAlarm: ({ status }) => status === 'FAIL',
    note: noteOf(figures),
    reach: log().length === 0 ? 'the log is empty since this screen came up' : '',
    refresh: async () => {
      const now = app.clock.now();
      const isOld = now - countedAt >= MINUTE;
      const counted = isOld ? { figures: await readFigures(app), countedAt: now } : { figures, countedAt };
      return { listing: listingOf({ ...known, ...counted }), arrived: 0 };
    },
  });
}
