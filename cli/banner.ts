/**
 * What `serve` shows to people when it listens: where, on which database, what it has just made, and the next step while
 * there is nothing yet.
 */
import type { SecretSource } from '../src/config/config.ts';
import type { FirstLook } from '../src/operations/schema.ts';
import { VERSION } from '../src/version.ts';
import type { Line } from './paint.ts';
import { paint } from './paint.ts';

/** `url`: where it listens. `issuer`: what tokens say, shown when it is another. */
export interface BannerFacts {
  readonly url: string;
  readonly issuer: string;
  /** Where Prometheus looks; null without `metrics.listen`. */
  readonly metrics: string | null;
  /** `sqlite:auth.db` */
  readonly database: string;
  readonly masterKey: SecretSource;
  readonly isDatabaseNew: boolean;
  readonly isMasterKeyNew: boolean;
  readonly look: FirstLook;
  /** What starts this program on the same configuration. */
  readonly program: string;
}

const row = (name: string, value: string, remark = ''): string =>
  `  ${name.padEnd(12)}${remark === '' ? value : `${value.padEnd(26)}${remark}`}`;

/** Nothing secret: of the master key only where it is. */
export function bannerLines(facts: BannerFacts): readonly Line[] {
  const { url, issuer, metrics, database, isDatabaseNew, look } = facts;
  const isPublic = issuer !== url;
  return [
    `auth-server ${VERSION}`,
    row('URL', url, 'reference: /openapi.json'),
    ...(isPublic ? [row('Issuer', issuer)] : []),
    ...(metrics === null ? [] : [row('Metrics', metrics)]),
    row('Database', database, `${isDatabaseNew ? 'created, ' : ''}schema ${look.schema}`),
    masterKeyRow(facts),
    ...hints(facts),
  ];
}

function masterKeyRow({ masterKey, isMasterKeyNew }: BannerFacts): Line {
  if (masterKey.kind === 'env') return row('Master key', `from ${masterKey.name}`);
  if (masterKey.kind === 'literal') return row('Master key', 'from the configuration');
  if (!isMasterKeyNew) return row('Master key', masterKey.path);
  return [row('Master key', masterKey.path, 'created, mode 0600. '), paint('warn', 'Back it up!')];
}

/** They vanish with the first user. */
function hints({ look, program }: BannerFacts): readonly Line[] {
  if (look.hasUsers) return [];
  return [
    `  No users${look.hasClients ? '' : ', no clients'} yet. In another terminal, in this folder:`,
    `    ${program} users add alice`,
    ...(look.hasClients ? [] : [`    ${program} clients add api --type resource-server`]),
  ];
}
