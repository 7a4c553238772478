/** The catalogue of events is the contract's (§9): no type more, no type less. */
import { expect, test } from 'vitest';
import { SECURITY_EVENT_TYPES } from '../../src/domain/security-event.ts';
import { REVOCATION_CAUSES } from '../../src/domain/token-family.ts';

test('the types of events', () => {
  expect([...SECURITY_EVENT_TYPES].sort()).toEqual(
    [
      'login.succeeded',
      'login.failed',
      'login.throttled',
      'token.reuse_detected',
      'family.revoked',
      'families.revoked',
      'token.generation_ahead',
      'refresh.unchecked_access_token',
      'key.rotated',
      'key.compromised',
      'client.created',
      'client.secret_rotated',
      'user.disabled',
      'user.enabled',
    ].sort(),
  );
});

test('the causes of a revocation', () => {
  expect([...REVOCATION_CAUSES].sort()).toEqual(
    [
      'reuse',
      'logout',
      'admin',
      'subject_disabled',
      'client_removed',
      'key_compromised',
      'restored',
      'rolled_back',
      'session_limit',
    ].sort(),
  );
});
