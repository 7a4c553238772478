/** A server of its own in a folder of its own, as an operator has it: database, master key, one user; driven over HTTP. */
import { once } from 'node:events';
import path from 'node:path';
import BetterSqlite3 from 'better-sqlite3';
import { expect } from 'vitest';
import { closeApp, openApp, systemClock } from '../../src/app.ts';
import { loadConfig } from '../../src/config/load.ts';
import { makeLog } from '../../src/log.ts';
import { type CliOptions, type RunningCli, runCli, startServe, workFolder } from './cli.ts';
import { furnish } from './furnish.ts';
import { type HttpClient, makeHttpClient } from './http-client.ts';
import type { Pair } from './test-server.ts';

export interface Instance {
  readonly folder: string;
  readonly database: string;
  /** Starts the server. */
  serve(): Promise<Serving>;
  /** A command that must succeed; with what it printed. */
  run(...args: readonly string[]): Promise<string>;
  /** Looks at the file, as it is now. */
  rows<Row>(sql: string): Row[];
}

export interface Serving extends RunningCli {
  readonly url: string;
  stop(): Promise<void>;
  login(): Promise<Pair>;
  tryRefresh(pair: Pair, key?: string): Promise<{ readonly status: number; readonly body: Record<string, unknown> }>;
  refresh(pair: Pair): Promise<Pair>;
  isActive(pair: Pair): Promise<boolean>;
}

const PASSWORD = '8letters';

/** Made in this process, as `serve` would make it; nothing has it open when this returns. */
export async function makeInstance(): Promise<Instance> {
  const folder = workFolder();
  // Another port after a restart must not be another issuer.
  const options = { cwd: folder, env: { AUTH_SERVER_ISSUER: 'https://auth.example' } };
  const database = path.join(folder, 'auth.db');
  const flags = { 'database.url': `sqlite:${database}`, masterKey: { file: path.join(folder, 'auth-server.key') } };
  const { config } = loadConfig({ flags, env: {}, cwd: folder });
  const log = makeLog({ level: 'error', format: 'json', now: systemClock.now, write: () => undefined });
  const app = await openApp({ config, log, schema: 'create' });
  const api = await furnish(app, PASSWORD);
  await closeApp(app);
  return {
    folder,
    database,
    run: async (...args) => {
      const { code, stdout, stderr } = await runCli(args, options);
      expect({ args, code, stderr: code === 0 ? '' : stderr }).toEqual({ args, code: 0, stderr: '' });
      return stdout;
    },
    serve: () => serve(options, api),
    rows: <Row>(sql: string) => {
      const db = new BetterSqlite3(database, { readonly: true });
      try {
        return db.prepare<[], Row>(sql).all();
      } finally {
        db.close();
      }
    },
  };
}

async function serve(options: CliOptions, api: Readonly<Record<string, string>>): Promise<Serving> {
  const running = await startServe(options, ['--port', '0']);
  const client = makeHttpClient(Number(new URL(running.url).port));
  return {
    ...running,
    ...requests(client, api),
    async stop() {
      client.close();
      if (running.child.exitCode !== null || running.child.signalCode !== null) return;
      const ended = once(running.child, 'exit');
      running.child.kill('SIGTERM');
      await ended;
    },
  };
}

type Requests = Pick<Serving, 'login' | 'tryRefresh' | 'refresh' | 'isActive'>;

function requests(client: HttpClient, api: Readonly<Record<string, string>>): Requests {
  const post = (to: string, body: unknown, headers: Record<string, string> = {}) =>
    client.send({
      method: 'POST',
      path: to,
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });
  const tryRefresh: Requests['tryRefresh'] = (pair, key) =>
    post('/refresh', pair, key === undefined ? {} : { 'idempotency-key': key });
  return {
    async login() {
      const { status, body } = await post('/login', { username: 'alice', password: PASSWORD });
      expect({ status, body }).toMatchObject({ status: 200 });
      return body as unknown as Pair;
    },
    tryRefresh,
    async refresh(pair) {
      const { status, body } = await tryRefresh(pair);
      expect({ status, body }).toMatchObject({ status: 200 });
      return body as unknown as Pair;
    },
    async isActive({ access_token }) {
      const { status, body } = await post('/verify', { token: access_token }, api);
      expect(status).toBe(200);
      return body.active === true;
    },
  };
}
