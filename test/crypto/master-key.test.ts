/**
 * The master key: what it seals opens with it alone, for the purpose, the id and the instance it was sealed for; and its
 * file is read only where nobody else can read it.
 */
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  createMasterKeyFile,
  hashUsername,
  type MasterKey,
  makeMasterKeyText,
  parseMasterKey,
  readMasterKeyFile,
  type SealContext,
  seal,
  unseal,
} from '../../src/crypto/master-key.ts';

function newKey(): MasterKey {
  const key = parseMasterKey(makeMasterKeyText());
  if (key === undefined) throw new Error('a master key that was just made is none');
  return key;
}

const context: SealContext = { purpose: 'signing-key', id: 'kid-1', instance: 'instance-1' };

describe('parseMasterKey', () => {
  const text = Buffer.alloc(32, 7).toString('base64');

  test('32 bytes in base64, with or without a line end', () => {
    expect(parseMasterKey(text)).toBeDefined();
    expect(parseMasterKey(`${text}\n`)?.id).toBe(parseMasterKey(text)?.id);
    expect(parseMasterKey(`${text}\r\n`)).toBeDefined();
  });

  test.each([
    ['nothing', ''],
    ['31 bytes', Buffer.alloc(31, 7).toString('base64')],
    ['33 bytes', Buffer.alloc(33, 7).toString('base64')],
    ['all zero', Buffer.alloc(32).toString('base64')],
    ['hex', Buffer.alloc(32, 7).toString('hex')],
    ['base64url', Buffer.alloc(32, 0xfb).toString('base64url')],
    ['no padding', text.slice(0, -1)],
    ['a space before', ` ${text}`],
    ['two lines', `${text}\n${text}`],
    ['two line ends', `${text}\n\n`],
    ['a NUL inside', `${text.slice(0, 10)}\0${text.slice(11)}`],
  ])('%s is none', (_name, wrong) => {
    expect(parseMasterKey(wrong)).toBeUndefined();
  });

  test('the id tells keys apart and gives nothing of them away', () => {
    const ids = new Set(Array.from({ length: 50 }, () => newKey().id));
    expect(ids.size).toBe(50);
    expect(text).not.toContain(parseMasterKey(text)?.id);
  });
});

describe('seal', () => {
  const master = newKey();

  test('what was sealed is opened, whatever it holds', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (plain) => {
        expect(unseal(master, seal(master, plain, context), context)).toBe(plain);
      }),
    );
  });

  test('the same text is sealed differently each time, and is not to be seen', () => {
    const sealed = Array.from({ length: 20 }, () => seal(master, 'a secret of some length', context));
    expect(new Set(sealed).size).toBe(20);
    for (const text of sealed) {
      expect(text).not.toContain('secret');
      expect(text).not.toContain(Buffer.from('a secret of some length').toString('base64url'));
    }
  });

  test.each<[string, SealContext]>([
    ['purpose', { ...context, purpose: 'check' }],
    ['key id', { ...context, id: 'kid-2' }],
    ['instance', { ...context, instance: 'instance-2' }],
    ['division of the same letters', { ...context, id: 'kid-', instance: '1instance-1' }],
  ])('a row moved to another %s does not open', (_name, other) => {
    expect(unseal(master, seal(master, 'x', context), other)).toBeUndefined();
  });

  test('another master key does not open it, even under a forged id', () => {
    const sealed = seal(master, 'x', context);
    const other = newKey();
    expect(unseal(other, sealed, context)).toBeUndefined();
    expect(unseal({ ...other, id: master.id }, sealed, context)).toBeUndefined();
  });

  test('any change, any cut: it does not open, and nothing is thrown', () => {
    const sealed = seal(master, 'a secret', context);
    fc.assert(
      fc.property(fc.nat(sealed.length - 1), fc.constantFrom('A', 'z', '.', '', ' '), (at, by) => {
        const changed = sealed.slice(0, at) + by + sealed.slice(at + 1);
        const opened = unseal(master, changed, context);
        // Unused bits of the last letter are the one change that is none.
        const isSame = sealed.split('.').every((part, i) => {
          const other = changed.split('.')[i] ?? '';
          return Buffer.from(part, 'base64url').equals(Buffer.from(other, 'base64url'));
        });
        if (!isSame) expect(opened).toBeUndefined();
      }),
      { numRuns: 500 },
    );
    for (let length = 0; length < sealed.length; length += 1) {
      expect(unseal(master, sealed.slice(0, length), context)).toBeUndefined();
    }
    for (const junk of [
      '',
      '.',
      '...',
      'v1',
      `v2${sealed.slice(2)}`,
      `v1.${master.id}..`,
      `v1.${master.id}.AAAA.AAAA`,
    ]) {
      expect(unseal(master, junk, context)).toBeUndefined();
    }
  });
});

describe('hashUsername', () => {
  test('is the same for the same name under one master key, and another under another', () => {
    const master = newKey();
    expect(hashUsername(master, 'ada')).toBe(hashUsername(master, 'ada'));
    expect(hashUsername(master, 'ada')).not.toBe(hashUsername(master, 'bob'));
    expect(hashUsername(master, 'ada')).not.toBe(hashUsername(newKey(), 'ada'));
  });
});

describe('the file', () => {
  let folder = '';
  const file = (): string => path.join(folder, 'auth-server.key');
  beforeEach(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'auth-server-key-'));
  });
  afterEach(() => {
    chmodSync(folder, 0o700);
    rmSync(folder, { recursive: true, force: true });
  });

  test('I31: it is made for its owner alone, whatever the umask', () => {
    const before = process.umask(0);
    try {
      createMasterKeyFile(file());
    } finally {
      process.umask(before);
    }
    expect(statSync(file()).mode & 0o777).toBe(0o600);
    expect(readFileSync(file(), 'utf8')).toMatch(/^[A-Za-z0-9+/]{43}=\n$/);
    expect(readMasterKeyFile(file())).toMatchObject({ kind: 'read' });
  });

  test('I36: a file that is there is never replaced', () => {
    createMasterKeyFile(file());
    const before = readFileSync(file(), 'utf8');
    expect(() => createMasterKeyFile(file())).toThrow(/EEXIST/);
    expect(readFileSync(file(), 'utf8')).toBe(before);
  });

  test('a link that leads nowhere is not followed to make one', () => {
    symlinkSync(path.join(folder, 'elsewhere'), file());
    expect(() => createMasterKeyFile(file())).toThrow(/EEXIST/);
  });

  test.each([0o640, 0o604, 0o660, 0o644, 0o610, 0o601])('mode %o is too open to be read', (mode) => {
    createMasterKeyFile(file());
    chmodSync(file(), mode);
    expect(readMasterKeyFile(file())).toEqual({ kind: 'exposed' });
  });

  test.each([0o600, 0o400])('mode %o is read', (mode) => {
    createMasterKeyFile(file());
    chmodSync(file(), mode);
    expect(readMasterKeyFile(file())).toMatchObject({ kind: 'read' });
  });

  test.each([
    ['empty', ''],
    ['truncated', makeMasterKeyText().slice(0, 20)],
    ['all zero', `${Buffer.alloc(32).toString('base64')}\n`],
    ['binary', '\u0000\u0001\u0002'],
    ['huge', `${makeMasterKeyText()}${'\n'.repeat(5_000)}`],
  ])('%s is malformed', (_name, text) => {
    writeFileSync(file(), text, { mode: 0o600 });
    expect(readMasterKeyFile(file())).toEqual({ kind: 'malformed' });
  });

  test('a folder is malformed, whatever its mode: nobody is told to close it', () => {
    for (const mode of [0o755, 0o700]) {
      chmodSync(folder, mode);
      expect(readMasterKeyFile(folder)).toEqual({ kind: 'malformed' });
    }
  });

  test('missing is told from unreadable', () => {
    expect(readMasterKeyFile(file())).toEqual({ kind: 'missing' });
    expect(readMasterKeyFile(path.join(folder, 'no/such/folder'))).toEqual({ kind: 'missing' });
    writeFileSync(file(), 'x', { mode: 0o600 });
    // A file where a folder is due: an error that is no absence.
    expect(readMasterKeyFile(path.join(file(), 'below'))).toEqual({ kind: 'unreadable' });
    chmodSync(folder, 0o700);
    expect(readMasterKeyFile(folder)).not.toMatchObject({ kind: 'read' });
  });
});
