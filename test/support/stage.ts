/** A server that foreign libraries can use as it is: its issuer is where it listens, and its clock is the machine's. */
import type { SigningAlgorithm } from '../../src/domain/signing-key.ts';
import { freePort } from './free-port.ts';
import { type Pair, startTestServer, type TestClient, type TestServer } from './test-server.ts';

export interface Stage {
  readonly server: TestServer;
  readonly issuer: string;
  readonly algorithm: SigningAlgorithm;
  /** Confidential. */
  readonly backend: TestClient;
  /** Public; refreshes as any public OAuth client does, without an access token. */
  readonly spa: TestClient;
  /** Begins a session of that app. */
  login(client: TestClient): Promise<Pair>;
}

/** To be called in a test. */
export async function setStage(url: string, algorithm: SigningAlgorithm = 'ES256'): Promise<Stage> {
  const port = await freePort();
  const issuer = `http://127.0.0.1:${port}`;
  const server = await startTestServer({
    url,
    config: { issuer, 'listen.port': port, 'tokens.signingAlgorithm': algorithm },
  });
  server.clock.advance(Date.now() - server.clock.now());
  return {
    server,
    issuer,
    algorithm,
    backend: await server.addClient('backend'),
    spa: await server.addClient('spa', { isPublic: true, policy: { refreshAlone: true } }),
    login: ({ id, basic }) => server.login({ client_id: id, headers: basic }),
  };
}
