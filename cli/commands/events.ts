/** `events`: the event log, a page at a time or as it grows; and what became of its deliveries. */
import { setTimeout as delay } from 'node:timers/promises';
import { type Command, Option } from 'commander';
import type { App } from '../../src/app.ts';
import type { DeliveryState } from '../../src/domain/delivery.ts';
import type { Subject } from '../../src/domain/ids.ts';
import { SECURITY_EVENT_TYPES, type SecurityEventType } from '../../src/domain/security-event.ts';
import type { FollowEvents } from '../../src/operations/events.ts';
import type { EventView } from '../../src/operations/views.ts';
import { Refusal } from '../../src/refusal.ts';
import { limitOption } from '../arguments.ts';
import { type DefineCommand, type GlobalFlags, helpNotes } from '../command.ts';
import { defineRetry, deliveryOption, listDeliveries } from '../deliveries.ts';
import { type EventRow, eventColumns, eventLine } from '../event-text.ts';
import type { Out } from '../output.ts';
import { listPages } from '../pages.ts';
import { withApp } from '../with-app.ts';

const CURRENT = { schema: 'current' } as const;
const PAGE = { default: 50, max: 500 } as const;
/** Events that `tail` begins with, and how often it looks for more, ms. */
const TAIL = { first: 10, every: 1_000 } as const;

/** `tail` ends only when it is interrupted, with 130. */
export const defineEvents: DefineCommand = (command) => {
  command.description('The event log: what happened, for those who must know.');
  helpNotes(command, {
    examples: [
      'auth-server events tail --type token.reuse_detected',
      'auth-server events list --json',
      'auth-server events retry --dead',
    ],
    exit: '0 done, 2 wrong usage, 3 no such event, 130 interrupted',
  });
  defineList(command.command('list'));
  defineTail(command.command('tail'));
  defineRetry(command.command('retry'));
};

interface EventFlags extends GlobalFlags {
  readonly type?: SecurityEventType;
}

const typeOption = (): Option => new Option('--type <type>', 'only these').choices(SECURITY_EVENT_TYPES);

interface ListFlags extends EventFlags {
  readonly after?: string;
  readonly limit?: number;
  readonly deliveries?: DeliveryState;
}

function defineList(command: Command): void {
  command
    .description('lists events, oldest first; a terminal shows the newest unless --after is given')
    .addOption(typeOption())
    .option('--after <cursor>', 'goes on after a cursor, or after the event of this id; 0 is the beginning')
    .addOption(limitOption(PAGE))
    .addOption(deliveryOption())
    .action(({ deliveries, ...flags }: ListFlags) =>
      withApp(flags, CURRENT, (app, out) =>
        deliveries === undefined ? list(app, out, flags) : listDeliveries(app, out, { ...flags, deliveries }),
      ),
    );
  helpNotes(command, {
    examples: [
      'auth-server events list',
      'auth-server events list --type token.reuse_detected --json',
      'auth-server events list --deliveries dead',
    ],
    exit: '0 done, also when there is none; 2 wrong usage',
  });
}

async function list(app: App, out: Out, { type, after, limit }: ListFlags): Promise<void> {
  const { listEventPage, listNewestEvents } = await import('../../src/operations/events.ts');
  const columns = eventColumns(out.now);
  const empty = type === undefined ? 'no events yet' : 'no event of this type; all of them: auth-server events list';
  // Who opens a log wants to see its end; who reads it on wants its beginning.
  if (out.isTerminal && !out.json && after === undefined) {
    const events = await listNewestEvents(app, { type, limit: limit ?? PAGE.default });
    const more = events.length < (limit ?? PAGE.default) ? undefined : 'the newest; from the beginning: --after 0';
    return out.list({ document: { events }, rows: await withNames(app, events), columns, empty, more });
  }
  await listPages<EventRow>(out, {
    limit,
    cursor: after,
    page: PAGE,
    columns,
    empty,
    flag: '--after',
    fetch: async (size, cursor) => {
      const { events, nextCursor } = await listEventPage(app, { type, after: cursor, limit: size });
      const rows = out.isTerminal && !out.json ? await withNames(app, events) : events.map(nameless);
      return { rows, nextCursor, document: { events, next_cursor: nextCursor } };
    },
  });
}

const nameless = (event: EventView): EventRow => ({ ...event, name: undefined });

const subjectOf = ({ data }: EventView): Subject | undefined =>
  typeof data.subject === 'string' ? (data.subject as Subject) : undefined;

async function withNames(app: App, events: readonly EventView[]): Promise<readonly EventRow[]> {
  const { namesOf } = await import('../../src/operations/families.ts');
  const names = await namesOf(
    app,
    events.map(subjectOf).filter((subject) => subject !== undefined),
  );
  return events.map((event) => ({ ...event, name: names.get(subjectOf(event) ?? ('' as Subject)) }));
}

function defineTail(command: Command): void {
  command
    .description('shows the last events, and each new one as it comes, until Ctrl-C')
    .addOption(typeOption())
    .action((flags: EventFlags) => withApp(flags, CURRENT, (app, out) => tail(app, out, flags)));
  helpNotes(command, {
    examples: ['auth-server events tail', 'auth-server events tail --type token.reuse_detected --json'],
    exit: '130 interrupted, 2 wrong usage',
  });
}

async function tail(app: App, out: Out, { type }: EventFlags): Promise<never> {
  const { endOfEvents, followEvents, listNewestEvents } = await import('../../src/operations/events.ts');
  const upTo = await endOfEvents(app);
  await show(app, out, await listNewestEvents(app, { type, limit: TAIL.first, upTo }));
  const next = followEvents(app, type, upTo);
  for (;;) {
    await delay(TAIL.every);
    await show(app, out, await patiently(out, next));
  }
}

/** A database that is away for a while ends no tail. */
async function patiently(out: Out, next: FollowEvents): Promise<readonly EventView[]> {
  for (let tries = 0; ; tries += 1) {
    try {
      return await next();
    } catch (error) {
      if (!(error instanceof Refusal) || error.code !== 'temporarily_unavailable') throw error;
      if (tries === 0) out.note('the database does not answer; waiting for it');
      await delay(TAIL.every);
    }
  }
}

async function show(app: App, out: Out, events: readonly EventView[]): Promise<void> {
  if (events.length === 0) return;
  if (out.json) {
    for (const event of events) out.record(event);
    return;
  }
  if (out.isTerminal) return out.print(...(await withNames(app, events)).map((row) => eventLine(row, out.now)));
  const columns = eventColumns(out.now);
  out.list({ document: null, rows: events.map(nameless), columns, empty: '' });
}
