/**
 * `worker`: the background consumer, until it is told to stop. It is a process of its own, so that whatever a receiver does
 * costs no user a millisecond; any number of them may run.
 */
import type { App } from '../../src/app.ts';
import { formatDuration } from '../../src/domain/time.ts';
import type { Worker } from '../../src/worker/worker.ts';
import { type DefineCommand, type GlobalFlags, helpNotes } from '../command.ts';
import { onInterrupt } from '../interrupt.ts';
import type { Out } from '../output.ts';
import { DATABASE_WAIT, logOf, withApp } from '../with-app.ts';

/** The first SIGINT or SIGTERM lets attempts finish and ends with 0, the second ends at once with 130. */
export const defineWorker: DefineCommand = (command) => {
  command
    .description('Delivers events to webhooks and brokers, and purges what has expired. Any number of them may run.')
    .action((flags: GlobalFlags) =>
      withApp(flags, { schema: 'create', waitForDatabase: DATABASE_WAIT }, (app, out) => work(app, out)),
    );
  helpNotes(command, {
    examples: ['auth-server worker', 'auth-server --config /etc/auth-server/auth.config.json worker'],
    exit: '0 stopped, 5 configuration or database not usable, 130 stopped at once',
  });
};

async function work(opened: App, out: Out): Promise<void> {
  const { startWorker } = await import('../../src/worker/worker.ts');
  // A command's log keeps to what went wrong; this one's is all there is to see of it.
  const app = { ...opened, log: logOf(opened.config, opened.config.log.level) };
  const isForPeople = process.stderr.isTTY && !out.json && app.config.log.format !== 'json';
  const worker = startWorker(app);
  if (isForPeople) tellPeople(worker, app, out);
  // Whatever the level: whoever started it wants to know that it has.
  else logOf(app.config, 'info').info('working', { receivers: worker.receivers.length, database: app.store.label });
  await untilInterrupted();
  const patience = formatDuration(app.config.server.shutdownTimeout);
  if (isForPeople)
    out.note(`Stopping: finishes what is under way, for at most ${patience}. Ctrl-C again stops at once.`);
  else app.log.info('stopping');
  await worker.stop();
  if (isForPeople) out.note('Stopped.');
  else app.log.info('stopped');
}

function tellPeople({ receivers }: Worker, app: App, out: Out): void {
  out.note(`Working on ${app.store.label}: delivers events, purges what has expired. Ctrl-C stops it.`);
  for (const { label, types } of receivers)
    out.note(`  ${label}  ${types.length === 0 ? 'all events' : types.join(', ')}`);
  if (receivers.length === 0)
    out.note('  No receivers are configured (events.webhooks, events.brokers): it only purges.');
}

/** The second Ctrl-C is nobody's but the program's, which ends at once. */
function untilInterrupted(): Promise<void> {
  return new Promise((resolve) => {
    const giveBack = onInterrupt(() => {
      giveBack();
      resolve();
    });
  });
}
