/**
 * The files that `init` makes: the commented configuration, the master key, the secret shared with a user service. It
 * stands apart because of what it promises: nothing is overwritten, and no file is left half written.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, openSync, rmSync, writeSync } from 'node:fs';
import { Refusal } from '../src/refusal.ts';
import { DEFAULT_SETTING, type Setting } from './init-answers.ts';

/** Shared with the user service, which checks the signatures of our requests with it. */
const USER_SERVICE_SECRET = 'user-service.secret';

/** What the configuration file sets, by path, as people write it. */
function valuesOf({ database, url, userService }: Setting, secret: unknown): Record<string, unknown> {
  return {
    ...(database === DEFAULT_SETTING.database ? {} : { 'database.url': database }),
    ...urlValues(url),
    ...(userService === null
      ? {}
      : { 'users.directory': 'http', 'users.http.url': userService, 'users.http.secret': secret }),
  };
}

/** The address of a server on this machine says where to listen as well; any other is that of a proxy in front. */
function urlValues(url: string): Record<string, unknown> {
  if (url === DEFAULT_SETTING.url) return {};
  const { protocol, hostname, port } = URL.canParse(url) ? new URL(url) : { protocol: '', hostname: '', port: '' };
  const isHere = protocol === 'http:' && (hostname === '127.0.0.1' || hostname === 'localhost') && port !== '';
  return { issuer: url, ...(isHere ? { 'listen.port': Number(port) } : {}) };
}

/**
 * Writes the configuration, and the secret for a user service if there is one.
 * @returns the files that were made @throws ConfigurationRefusal before anything is written, Refusal conflict
 */
export async function writeConfiguration(path: string, setting: Setting): Promise<readonly string[]> {
  const { loadConfig } = await import('../src/config/load.ts');
  const { renderConfigFile } = await import('../src/config/example.ts');
  const secret = `whsec_${randomBytes(32).toString('base64')}`;
  loadConfig({ flags: valuesOf(setting, secret), env: {}, cwd: process.cwd() });

  const made: string[] = [];
  const write = (name: string, text: string): void => {
    writeNew(name, text);
    made.push(name);
  };
  if (setting.userService !== null) write(USER_SERVICE_SECRET, `${secret}\n`);
  try {
    const values = valuesOf(setting, { file: USER_SERVICE_SECRET });
    write(path, renderConfigFile({ values, areDefaultsCommented: true }));
  } catch (error) {
    for (const name of made) rmSync(name);
    throw error;
  }
  return made;
}

function writeNew(path: string, text: string): void {
  if (existsSync(path)) {
    throw new Refusal('conflict', `${path} exists; nothing is overwritten.`, { remedy: `use it, or move it away` });
  }
  const file = openSync(path, 'wx', 0o600);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } catch (error) {
    rmSync(path);
    throw error;
  } finally {
    closeSync(file);
  }
}
