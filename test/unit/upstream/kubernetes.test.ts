import { expect, test } from 'vitest'
import { Secret } from '../../../src/lib/secret.ts'
import { kubernetesHeaders } from '../../../src/upstream/kubernetes.ts'
import { principal } from './support.ts'

const of = (identity: object, groups: readonly string[] = []) =>
  kubernetesHeaders(principal({ identity: { ...principal().identity, ...identity } }), { groups }, new Secret('t'))

test.each([
  [{ email: 'system:admin@corp.test' }],
  [{ email: 'SYSTEM:admin@corp.test' }],
  [{ email: undefined, subject: 'system:serviceaccount:kube-system:root' }],
  [{ email: 'a'.repeat(5000) }],
  [{ email: undefined, subject: '' }],
])('nobody acts as a user of the cluster, nor as somebody without a name: no token for %j', (identity) => {
  expect(of(identity, ['Engineering'])).toEqual([])
})

test('somebody without an address is named by the immutable id', () => {
  expect(of({ email: undefined })).toEqual(['authorization', 'Bearer t', 'impersonate-user', '00u1'])
})
