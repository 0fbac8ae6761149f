import { expect, test } from 'vitest'
import { createKeyRings, type SharedSecrets } from '../../../src/lib/key-ring.ts'
import { Secret } from '../../../src/lib/secret.ts'

const [old, next] = ['old', 'next'].map((name) => new Secret(name.repeat(12))) as [Secret, Secret]

function rotating(purpose = 'a test') {
  let secrets: SharedSecrets = [old]
  const rings = createKeyRings(() => secrets)
  return {
    ring: rings(purpose),
    other: rings('another purpose'),
    use: (...now: [Secret, ...Secret[]]) => (secrets = now),
  }
}

test('the first secret makes, all of them know; one that was taken out is not known from then on', () => {
  const { ring, use } = rotating()
  const [mac, sealed] = [ring.mac('a', 'b'), ring.seal('text', 'here')]
  const keys = ring.keys()
  expect(ring.keys()).toBe(keys)
  use(next, old)
  expect(ring.keys()).not.toBe(keys)
  expect([ring.isMac(mac, 'a', 'b'), ring.open(sealed, 'here')]).toEqual([true, 'text'])
  expect(ring.mac('a', 'b')).not.toBe(mac)
  use(next)
  expect([ring.isMac(mac, 'a', 'b'), ring.open(sealed, 'here')]).toEqual([false, undefined])
})

test('nothing is of another purpose, of other parts or of another context', () => {
  const { ring, other } = rotating()
  const [mac, sealed] = [ring.mac('a', 'b'), ring.seal('text', 'here')]
  expect([other.isMac(mac, 'a', 'b'), ring.isMac(mac, 'ab'), ring.isMac('', 'a', 'b')]).toEqual([false, false, false])
  expect([other.open(sealed, 'here'), ring.open(sealed, 'there')]).toEqual([undefined, undefined])
})

test('what an older one sealed is sealed anew, what the first one did is not, and nothing of a stranger', () => {
  const { ring, use } = rotating()
  const sealed = ring.seal('text', 'here')
  expect(ring.sealAnew(sealed, 'here')).toBeUndefined()
  use(next, old)
  const anew = ring.sealAnew(sealed, 'here') ?? ''
  expect([ring.sealAnew(anew, 'here'), ring.sealAnew(sealed, 'there'), ring.sealAnew('x'.repeat(60), 'here')]).toEqual([
    undefined,
    undefined,
    undefined,
  ])
  use(next)
  expect([ring.open(anew, 'here'), ring.open(sealed, 'here')]).toEqual(['text', undefined])
})
