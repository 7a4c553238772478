/**
 * The proxies under test, as the distribution has them: each started with the configuration of its page in docs/proxies and
 * the least around it that makes it run from a folder of its own, on loopback.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { onTestFinished } from 'vitest';
import { makeAuthority } from '../support/certificates.ts';
import { freePort } from '../support/free-port.ts';
import { scratchFolder } from '../support/scratch.ts';
import { type Substitutions, writeDocumented } from './documented.ts';

export interface RunningProxy {
  /** Of its TLS listener. */
  readonly port: number;
  /** Of the authority that its certificate is by. */
  readonly ca: string;
  /** What it has logged. */
  said(): string;
}

/** Where a proxy is to find the others. */
export interface Places {
  /** Of auth-server. */
  readonly auth: number;
  /** Of the service. */
  readonly service: number;
  /** `<client id>:<secret>` of the proxy. */
  readonly credential: string;
}

export interface ProxyKind {
  readonly name: string;
  /** With the service behind it, and auth-server to ask. */
  inFrontOfService(places: Places): Promise<RunningProxy>;
  /** What callers get when auth-server cannot be reached. */
  readonly down: number;
  /** What callers get when the proxy's own credential is wrong. */
  readonly forbidden: number;
  /** Whether a request is refused while its body is still on its way. */
  readonly refusesEarly: boolean;
  /** `WWW-Authenticate` for a request without a token. */
  readonly challenge: RegExp;
}

const START_LIMIT_MS = 20_000;

/** A test run that is killed cannot end its proxies, so this shell does: it reads from a pipe that closes with us. */
const GUARD = 'exec 3<&0; "$@" 3<&- & pid=$!; (cat <&3 >/dev/null; kill -TERM $pid) 2>/dev/null & exec 3<&-; wait $pid';

interface Launch {
  readonly folder: string;
  readonly command: readonly string[];
  readonly port: number;
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs a program until the end of the test, and waits until it listens. @returns what it says */
async function launch({ folder, command, port, env = {} }: Launch): Promise<() => string> {
  const child = spawn('sh', ['-c', GUARD, 'guard', ...command], {
    cwd: folder,
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: folder, ...env },
    stdio: 'pipe',
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
  }
  child.stdin.on('error', () => undefined);
  const ended = once(child, 'exit');
  onTestFinished(async ({ task }) => {
    child.stdin.end();
    await ended;
    if (task.result?.state === 'fail') process.stderr.write(`\n${command[0]} of "${task.name}" said:\n${text}\n`);
  });
  const limit = performance.now() + START_LIMIT_MS;
  while (!(await listens(port))) {
    if (child.exitCode !== null || performance.now() > limit)
      throw new Error(`${command[0]} does not listen:\n${text}`);
    await delay(20);
  }
  return () => text;
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

/** A folder with a certificate for a host: `HOST.pem`, `HOST.key`, and both in `HOST.both.pem`. */
function proxyFolder(host: string): { readonly folder: string; readonly ca: string } {
  const folder = scratchFolder('proxy', os.tmpdir());
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  // Some give up their rights, and then look for their own files.
  chmodSync(folder, 0o755);
  const authority = makeAuthority();
  const { certificate, key } = authority.issue({ host, address: '127.0.0.1' });
  writeFileSync(path.join(folder, `${host}.pem`), certificate);
  writeFileSync(path.join(folder, `${host}.key`), key, { mode: 0o600 });
  writeFileSync(path.join(folder, 'ca.pem'), authority.certificate);
  writeFileSync(path.join(folder, `${host}.both.pem`), certificate + key, { mode: 0o600 });
  return { folder, ca: authority.certificate };
}

const API = 'api.example.com';

const places = ({ auth, service, credential }: Places): Substitutions => [
  ['127.0.0.1:8080', `127.0.0.1:${auth}`],
  ['127.0.0.1:3000', `127.0.0.1:${service}`],
  ['proxy:SECRET', credential],
];

/** Of /etc/nginx/nginx.conf what the pages build on. */
const nginxMain = (folder: string, site: string): string => `
  daemon off; worker_processes 2; pid ${folder}/nginx.pid; error_log stderr warn;
  ${process.getuid?.() === 0 ? 'user root;' : ''}
  events { worker_connections 768; }
  http {
    access_log off; default_type application/octet-stream;
    client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/fastcgi;
    uwsgi_temp_path ${folder}/uwsgi; scgi_temp_path ${folder}/scgi;
    include ${folder}/${site};
  }
`;

interface NginxSite {
  readonly host: string;
  readonly site: string;
  readonly others?: readonly string[];
  readonly substitutions: (folder: string) => Substitutions;
}

/** nginx with a site of its page. */
export async function startNginx({ host, site, others = [], substitutions }: NginxSite): Promise<RunningProxy> {
  const { folder, ca } = proxyFolder(host);
  const port = await freePort();
  const common: Substitutions = [
    ['listen 443 ssl', `listen 127.0.0.1:${port} ssl`],
    [`/etc/ssl/${host}`, `${folder}/${host}`],
  ];
  writeDocumented(folder, 'proxies/nginx.md', {
    names: [site, ...others],
    substitutions: [...common, ...substitutions(folder)],
  });
  writeFileSync(path.join(folder, 'nginx.conf'), nginxMain(folder, site));
  const command = ['nginx', '-e', 'stderr', '-c', `${folder}/nginx.conf`];
  return { port, ca, said: await launch({ folder, command, port }) };
}

const nginx: ProxyKind = {
  name: 'nginx',
  down: 500,
  forbidden: 403,
  refusesEarly: true,
  challenge: /^Bearer realm="auth-server"$/,
  inFrontOfService: (at) =>
    startNginx({
      host: API,
      site: 'api.conf',
      others: ['auth-server-client.conf'],
      substitutions: (folder) => [['/etc/nginx/', `${folder}/`], ...places(at)],
    }),
};

const caddy: ProxyKind = {
  name: 'Caddy',
  down: 502,
  forbidden: 403,
  refusesEarly: true,
  challenge: /^Bearer realm="auth-server"$/,
  async inFrontOfService(at) {
    const { folder, ca } = proxyFolder(API);
    const port = await freePort();
    writeDocumented(folder, 'proxies/caddy.md', {
      names: ['api.caddyfile', 'auth-server-client'],
      substitutions: [
        [`https://${API}`, `https://${API}:${port}`],
        [`/etc/ssl/${API}`, `${folder}/${API}`],
        ['/etc/caddy/', `${folder}/`],
        ...places(at),
      ],
    });
    // Else it would want ports 80 and 2019.
    const main = `{\n  admin off\n  auto_https disable_redirects\n  default_bind 127.0.0.1\n}\nimport ${folder}/api.caddyfile\n`;
    writeFileSync(path.join(folder, 'Caddyfile'), main);
    const command = ['caddy', 'run', '--adapter', 'caddyfile', '--config', `${folder}/Caddyfile`];
    return { port, ca, said: await launch({ folder, command, port }) };
  },
};

const haproxy: ProxyKind = {
  name: 'HAProxy',
  down: 503,
  forbidden: 403,
  refusesEarly: true,
  challenge: /^Bearer realm="auth-server"$/,
  async inFrontOfService(at) {
    const { folder, ca } = proxyFolder(API);
    const port = await freePort();
    writeDocumented(folder, 'proxies/haproxy.md', {
      names: ['api.cfg', 'auth-server.lua', 'auth-server-client'],
      substitutions: [
        ['bind :443', `bind 127.0.0.1:${port}`],
        [`/etc/ssl/${API}`, `${folder}/${API}`],
        ['/etc/haproxy/', `${folder}/`],
        ...places(at),
      ],
    });
    const command = ['haproxy', '-db', '-f', `${folder}/api.cfg`];
    return { port, ca, said: await launch({ folder, command, port }) };
  },
};

const APACHE_MODULES =
  'mpm_event authn_core authz_core authz_host authz_user auth_openidc headers macro proxy proxy_http setenvif socache_shmcb ssl';

const apache: ProxyKind = {
  name: 'Apache',
  down: 401,
  forbidden: 401,
  refusesEarly: false,
  challenge: /^Bearer\b/,
  async inFrontOfService(at) {
    const { folder, ca } = proxyFolder(API);
    const port = await freePort();
    const [id = '', secret = ''] = at.credential.split(':');
    const { auth, service } = at;
    writeDocumented(folder, 'proxies/apache.md', {
      names: ['api.conf', 'auth.conf', 'auth-server-client.conf'],
      substitutions: [
        ['*:443', `127.0.0.1:${port}`],
        [`/etc/ssl/${API}`, `${folder}/${API}`],
        // One certificate for both sites, since the module checks that of the other one.
        ['/etc/ssl/auth.example.com', `${folder}/${API}`],
        ['ServerName auth.example.com', 'ServerName 127.0.0.1'],
        ['https://auth.example.com/', `https://127.0.0.1:${port}/`],
        ['/etc/apache2/', `${folder}/`],
        ['127.0.0.1:8080', `127.0.0.1:${auth}`],
        ['127.0.0.1:3000', `127.0.0.1:${service}`],
        ['OIDCOAuthClientID proxy', `OIDCOAuthClientID ${id}`],
        ['SECRET', secret],
      ],
    });
    mkdirSync(path.join(folder, 'run'));
    const modules = APACHE_MODULES.split(' ').map((name) => `Include /etc/apache2/mods-available/${name}.load`);
    const main = `
      ServerRoot ${folder}
      ServerName localhost
      DefaultRuntimeDir ${folder}/run
      PidFile ${folder}/run/apache.pid
      Mutex sem
      ErrorLog "|/bin/cat"
      Listen 127.0.0.1:${port}
      ${modules.join('\n')}
      User www-data
      Group www-data
      OIDCCABundlePath ${folder}/ca.pem
      Include ${folder}/api.conf
      Include ${folder}/auth.conf
    `;
    writeFileSync(path.join(folder, 'apache.conf'), main);
    const command = ['apache2', '-DFOREGROUND', '-f', `${folder}/apache.conf`];
    return { port, ca, said: await launch({ folder, command, port }) };
  },
};

export const PROXIES: readonly ProxyKind[] = [nginx, caddy, haproxy, apache];
