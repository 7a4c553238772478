/**
 * The deliveries of events: a list of them, and another chance for those that failed. They stand apart from the log itself
 * because an event happened once, and is on its way to several receivers.
 */
import { type Command, Option } from 'commander';
import type { App } from '../src/app.ts';
import { DELIVERY_STATES, type DeliveryState } from '../src/domain/delivery.ts';
import { type EventId, shortId } from '../src/domain/ids.ts';
import type { DeliveryView } from '../src/operations/views.ts';
import { type GlobalFlags, helpNotes, wrongUsage } from './command.ts';
import { type Out, timeColumn } from './output.ts';
import { listPages } from './pages.ts';
import type { Column } from './table.ts';
import { withApp } from './with-app.ts';

const PAGE = { default: 50, max: 500 } as const;

/** With it `events list` shows deliveries instead of events. */
export const deliveryOption = (): Option =>
  new Option('--deliveries <state>', 'lists deliveries in this state instead').choices(DELIVERY_STATES);

const columns = (out: Out): readonly Column<DeliveryView>[] => [
  { title: 'EVENT', value: ({ event_id }) => event_id, text: ({ event_id }) => shortId(event_id as EventId) },
  { title: 'TYPE', value: ({ type }) => type },
  { title: 'RECEIVER', value: ({ receiver }) => receiver },
  { title: 'STATE', value: ({ state }) => state, tone: ({ state }) => (state === 'dead' ? 'alarm' : undefined) },
  { title: 'ATTEMPTS', value: ({ attempts }) => attempts, right: true },
  timeColumn('NEXT', out.now, ({ next_attempt_at }) => next_attempt_at),
  { title: 'LAST ERROR', value: ({ last_error }) => last_error },
];

/** `after`: a cursor, where `events list` also takes the id of an event. */
export interface DeliveryListFlags {
  readonly deliveries: DeliveryState;
  readonly after?: string | undefined;
  readonly limit?: number | undefined;
}

/** A page, or in a pipe all of them. @throws Refusal invalid_request for a cursor that is none */
export async function listDeliveries(app: App, out: Out, flags: DeliveryListFlags): Promise<void> {
  const { listDeliveryPage } = await import('../src/operations/deliveries.ts');
  const { deliveries: state, after, limit } = flags;
  await listPages<DeliveryView>(out, {
    limit,
    cursor: after,
    page: PAGE,
    columns: columns(out),
    empty: `no delivery is ${state}`,
    flag: '--after',
    fetch: async (size, cursor) => {
      const { deliveries, nextCursor } = await listDeliveryPage(app, { state, cursor, limit: size });
      return { rows: deliveries, nextCursor, document: { deliveries, next_cursor: nextCursor } };
    },
  });
}

interface RetryFlags extends GlobalFlags {
  readonly dead?: boolean;
}

/** `events retry`. It asks nothing: an event that comes twice has the same id. */
export function defineRetry(command: Command): void {
  command
    .description(
      'delivers an event again now where it has not arrived, or all dead letters; enables a disabled receiver',
    )
    .usage('EVENT | --dead')
    .argument('[event]', 'id of an event, also in its short form')
    .option('--dead', 'all dead letters')
    .action((event: string | undefined, flags: RetryFlags) => {
      if ((event === undefined) === (flags.dead !== true)) throw wrongUsage('name exactly one of EVENT and --dead');
      return withApp(flags, { schema: 'current' }, (app, out) =>
        event === undefined ? retryAll(app, out) : retryOne(app, out, event),
      );
    });
  helpNotes(command, {
    examples: ['auth-server events retry 01993b2e..c4d1f7', 'auth-server events retry --dead'],
    exit: '0 done, also when all has arrived; 2 wrong usage, 3 no such event',
  });
}

async function retryAll(app: App, out: Out): Promise<void> {
  const { retryDead } = await import('../src/operations/deliveries.ts');
  const retried = await retryDead(app);
  out.result({ retried }, retried === 0 ? 'There are no dead letters.' : `${retried} dead letters are due again.`);
}

async function retryOne(app: App, out: Out, event: string): Promise<void> {
  const { retryEvent } = await import('../src/operations/deliveries.ts');
  const { retried, delivered, underWay } = await retryEvent(app, event);
  const parts = [
    retried > 0 ? `${retried} due again` : undefined,
    delivered > 0 ? `${delivered} already delivered` : undefined,
    underWay > 0 ? `${underWay} under way, or behind an earlier event of the session` : undefined,
  ].filter((part) => part !== undefined);
  const none = 'No delivery: no receiver wants it, or no worker has distributed it yet.';
  out.result(
    { retried, delivered, under_way: underWay },
    parts.length === 0 ? none : `Deliveries of the event: ${parts.join(', ')}.`,
  );
}
