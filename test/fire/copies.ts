/** Copies of a SQLite database, looked into: whole, of one piece, and what they say of each family. */
import { copyFileSync } from 'node:fs';
import BetterSqlite3 from 'better-sqlite3';
import { expect } from 'vitest';
import type { Copied } from '../../scripts/fire/moments.ts';

interface FamilyRow {
  readonly id: string;
  readonly generation: number;
  readonly jti: string;
  readonly revoke_reason: string | null;
}

/** What was committed together is there together; each of these finds nothing. */
const TOGETHER = {
  'a timeline with gaps':
    'select id from token_families f where generation + 1 <> (select count(*) from refresh_tokens t where t.family_id = f.id)',
  'a current token that the timeline does not have':
    'select id, generation, jti from token_families except select family_id, generation, jti from refresh_tokens',
  'a login without its event':
    "select id from token_families except select family_id from events where type = 'login.succeeded'",
  'an event without its login':
    "select family_id from events where type = 'login.succeeded' except select id from token_families",
  'an end without its event':
    "select id from token_families where revoked_at is not null except select family_id from events where type = 'family.revoked'",
  'an event without its end':
    "select family_id from events where type = 'family.revoked' except select id from token_families where revoked_at is not null",
} as const;

export interface Copy {
  readonly families: ReadonlyMap<string, Copied>;
  /** `jti` of the current refresh token, by family. */
  readonly jtis: ReadonlyMap<string, string>;
  readonly reasons: ReadonlyMap<string, string | null>;
}

/** Checks what can be seen in the file alone. No family may have been purged from it. */
export function lookInto(file: string): Copy {
  const db = new BetterSqlite3(file, { readonly: true });
  try {
    expect(db.pragma('integrity_check')).toEqual([{ integrity_check: 'ok' }]);
    for (const [what, sql] of Object.entries(TOGETHER))
      expect({ what, rows: db.prepare(sql).all() }).toEqual({ what, rows: [] });
    const rows = db.prepare<[], FamilyRow>('select id, generation, jti, revoke_reason from token_families').all();
    return {
      families: new Map(
        rows.map(({ id, generation, revoke_reason: reason }) => [id, { generation, isRevoked: reason !== null }]),
      ),
      jtis: new Map(rows.map(({ id, jti }) => [id, jti])),
      reasons: new Map(rows.map(({ id, revoke_reason: reason }) => [id, reason])),
    };
  } finally {
    db.close();
  }
}

/** So many more bytes, so that a copy takes a while and others write meanwhile. */
export function fatten(file: string, megabytes: number): void {
  const db = new BetterSqlite3(file);
  db.exec('create table filler (bytes blob)');
  const insert = db.prepare('insert into filler values (zeroblob(1000000))');
  for (let index = 0; index < megabytes; index += 1) insert.run();
  db.pragma('wal_checkpoint(TRUNCATE)');
  db.close();
}

/**
 * What `backup` must not be: the file alone, while what was committed `meanwhile` is in the log beside it. A reader keeps
 * the log from being written into the file.
 */
export async function copyWithoutLog(file: string, target: string, meanwhile: () => Promise<void>): Promise<void> {
  const reader = new BetterSqlite3(file, { readonly: true });
  reader.exec('begin');
  reader.prepare('select count(*) from token_families').get();
  await meanwhile();
  copyFileSync(file, target);
  reader.close();
}
