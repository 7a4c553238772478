/** Threat T21: what is sent to the user service, and what it answers, travels under TLS or stays on this machine. */
import { expect, test } from 'vitest';
import { complaints, load } from './support.ts';

const SECRET = `whsec_${Buffer.alloc(32, 1).toString('base64')}`;
const file = (http: object, server = {}): object => ({
  users: { directory: 'http', http: { secret: SECRET, ...http } },
  server,
});

test.each(['url', 'statusUrl'])('users.http.%s needs https beyond loopback, or server.insecure', (name) => {
  const good = { url: 'https://users.example.com/login' };
  for (const url of ['http://users.example.com/', 'http://10.0.0.7:80/x', 'http://[2001:db8::1]/', 'http://users/']) {
    const http = { ...good, [name]: url };
    expect(complaints({ file: file(http) }), url).toEqual([
      expect.stringContaining(`users.http.${name} is plain http beyond loopback`),
    ]);
    expect(load({ file: file(http, { insecure: true }) }).config.users.http).toMatchObject(http);
  }
  for (const url of ['http://127.0.0.1:9/', 'http://127.8.8.8/', 'http://[::1]:9/', 'http://localhost:9/', good.url]) {
    const http = { ...good, [name]: url };
    expect(load({ file: file(http) }).config.users.http).toMatchObject(http);
  }
});

test('an address of a service that is not asked may be anything', () => {
  const users = { directory: 'local', http: { url: 'http://users.example.com/' } };
  expect(load({ file: { users } }).config.users).toEqual({ directory: 'local', http: null });
});
