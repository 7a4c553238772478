/**
 * `serve`: runs the server until it is told to stop. People at a terminal get a banner and what to do next, everything
 * else gets one line of JSON; all of it on stderr.
 */
import { existsSync } from 'node:fs';
import { Option } from 'commander';
import type { Config } from '../../src/config/config.ts';
import type { LoadedConfig } from '../../src/config/load.ts';
import { formatDuration } from '../../src/domain/time.ts';
import type { RunningServer } from '../../src/http/start.ts';
import type { Log } from '../../src/log.ts';
import { readCount } from '../arguments.ts';
import { bannerLines } from '../banner.ts';
import { type DefineCommand, type GlobalFlags, helpNotes } from '../command.ts';
import { onInterrupt } from '../interrupt.ts';
import { type Out, outFor } from '../output.ts';
import { startedAs } from '../started-as.ts';
import { DATABASE_WAIT, logOf, readConfig, warn, whileWaiting } from '../with-app.ts';

interface ServeFlags extends GlobalFlags {
  readonly host?: string;
  readonly port?: number;
}

/** The first SIGINT or SIGTERM drains and ends with 0, the second ends at once with 130. */
export const defineServe: DefineCommand = (command) => {
  command
    .description(
      'Runs the server. Without any configuration it makes a SQLite database and a master key in this folder, and listens on 127.0.0.1:8080.',
    )
    .option('--host <host>', 'listens on this address (listen.host)')
    .addOption(
      new Option('--port <n>', 'listens on this port; 0 takes a free one (listen.port)').argParser(
        readCount(0, 65_535),
      ),
    )
    .action(serve);
  helpNotes(command, {
    examples: ['auth-server serve', 'auth-server serve --port 8081'],
    exit: '0 stopped, 5 configuration or database not usable, or the port is in use, 130 stopped at once',
  });
};

/** How a server tells people, or machines, what becomes of it. */
interface Voice {
  waiting(text: string): void;
  warning(text: string): void;
  listening(running: RunningServer): Promise<void>;
  stopping(): void;
  stopped(): void;
}

async function serve({ host, port, ...flags }: ServeFlags): Promise<void> {
  const out = outFor(flags);
  const warnings: string[] = [];
  const settings = { 'listen.host': host, 'listen.port': port };
  const loaded = await readConfig(flags, { settings, warn: (text) => warnings.push(text) });
  const { config } = loaded;
  const log = logOf(config, config.log.level);
  const isForPeople = process.stderr.isTTY && !out.json && config.log.format !== 'json';
  const voice = isForPeople ? voiceForPeople(out, config, flags) : voiceForMachines(config, log);
  for (const text of warnings) voice.warning(text);

  const running = await whileWaiting(config, voice.waiting, start(loaded, log));
  // From here on requests are served, so a signal has to let them be answered, whatever is still to be said.
  const interrupted = untilInterrupted();
  await voice.listening(running);
  await interrupted;
  voice.stopping();
  await running.stop();
  voice.stopped();
}

async function start({ config, origins }: LoadedConfig, log: Log): Promise<RunningServer> {
  const { checkListen } = await import('../../src/config/rules.ts');
  checkListen(config);
  const { defaultIssuer } = await import('../../src/config/load.ts');
  const { startServer } = await import('../../src/http/start.ts');
  const isDefault = origins.get('issuer')?.kind === 'default';
  return startServer({ config, log, waitForDatabase: DATABASE_WAIT, ...(isDefault ? { defaultIssuer } : {}) });
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

function voiceForPeople(out: Out, config: Config, flags: GlobalFlags): Voice {
  // Looked at before the start, which makes what is missing.
  const [, path] = /^sqlite:(.*)$/s.exec(config.database.url.reveal()) ?? [];
  const isDatabaseNew = path !== undefined && !existsSync(path);
  const isMasterKeyNew = config.masterKey.kind === 'file' && !existsSync(config.masterKey.path);
  const patience = formatDuration(config.server.shutdownTimeout);
  return {
    waiting: (text) => out.note(text),
    warning: (text) => warn(out, text),
    async listening(running) {
      const { app } = running;
      const { firstLook } = await import('../../src/operations/schema.ts');
      const lines = bannerLines({
        url: await urlOf(running),
        issuer: app.config.issuer,
        metrics: await metricsUrlOf(running),
        database: app.store.label,
        masterKey: config.masterKey,
        isDatabaseNew,
        isMasterKeyNew,
        look: await firstLook(app),
        program: startedAs(flags.config),
      });
      for (const line of lines) out.note(line);
    },
    stopping: () =>
      out.note(`Stopping: answers what has arrived, for at most ${patience}. Ctrl-C again stops at once.`),
    stopped: () => out.note('Stopped.'),
  };
}

function voiceForMachines(config: Config, log: Log): Voice {
  return {
    waiting: (text) => log.info(text),
    warning: (text) => log.warn('configuration', { warning: text }),
    async listening(running) {
      const { app } = running;
      const { firstLook } = await import('../../src/operations/schema.ts');
      const { schema } = await firstLook(app);
      // Whatever the level: with port 0, whoever started this learns the port from no other place.
      logOf(config, 'info').info('listening', {
        url: await urlOf(running),
        database: app.store.label,
        schema,
        metrics: (await metricsUrlOf(running)) ?? undefined,
      });
    },
    stopping: () => log.info('stopping'),
    stopped: () => log.info('stopped'),
  };
}

async function urlOf({ host, port }: Pick<RunningServer, 'host' | 'port'>): Promise<string> {
  const { defaultIssuer } = await import('../../src/config/load.ts');
  return defaultIssuer(host, port);
}

async function metricsUrlOf({ app, metricsPort }: RunningServer): Promise<string | null> {
  const { listen } = app.config.metrics;
  return listen === null || metricsPort === null
    ? null
    : `${await urlOf({ host: listen.host, port: metricsPort })}/metrics`;
}
