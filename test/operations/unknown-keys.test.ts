/** A token by a key that this server does not know may be of a key made elsewhere a moment ago; junk is not. */
import { expect, test, vi } from 'vitest';
import { encodeHeader } from '../../src/crypto/jws.ts';
import type { KeyId } from '../../src/domain/ids.ts';
import { keyRingsFor } from '../../src/operations/key-ring.ts';
import { describeOnBothDatabases } from '../support/databases.ts';
import { openTestApp } from '../support/test-app.ts';

const base64url = (text: string): string => Buffer.from(text).toString('base64url');

describeOnBothDatabases('a token by an unknown key', (makeDatabase) => {
  test('is looked up again when a key of ours could have signed it, and only then', async () => {
    const { app } = await openTestApp(await makeDatabase());
    await app.keys.current();
    const reload = vi.spyOn(app.keys, 'reload');
    const kid = 'Qp3vQp3vQp3vQp3vQp3vQp3vQp3vQp3vQp3vQp3vx9Z' as KeyId;
    const header = encodeHeader('ES256', kid, 'at+jwt');
    for (const junk of [
      '',
      'x',
      'x.y.z',
      'null.e30.x',
      `${base64url('null')}.e30.x`,
      `${base64url('{"alg":"ES256"')}.e30.x`,
      `${base64url('{"alg":"none"}')}.e30.x`,
      // The same members in another spelling.
      `${base64url(JSON.stringify({ kid, alg: 'ES256', typ: 'at+jwt' }))}.e30.x`,
      `${header}=.e30.x`,
      `${base64url(JSON.stringify({ alg: 'ES256', kid: 'x'.repeat(300), typ: 'at+jwt' }))}.e30.x`,
    ]) {
      await keyRingsFor(app, junk);
      expect(reload, junk).not.toHaveBeenCalled();
    }
    await keyRingsFor(app, `${header}.e30.x`);
    expect(reload).toHaveBeenCalledOnce();
  });
});
