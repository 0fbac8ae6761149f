import { expect, test } from 'vitest'
import { parseConfig } from '../../src/config/load.ts'
import type { Config } from '../../src/config/model.ts'
import { holdCredentials } from '../../src/credentials.ts'
import { manualClock } from '../support/clock.ts'

const [OLD, NEW, NEXT] = ['old', 'new', 'next'].map((name) => `${name} secret, of 32 characters or more`)

function configOf(...secrets: readonly (string | undefined)[]): Config {
  const loaded = parseConfig(
    undefined,
    'config.yaml',
    {
      AUTHENTICATE_SERVICE_URL: 'https://auth.corp.example',
      IDP_PROVIDER: 'oidc',
      IDP_PROVIDER_URL: 'https://idp.example',
      IDP_CLIENT_ID: 'client',
      SHARED_SECRET: secrets.join('\n'),
      INSECURE_SERVER: 'true',
    },
    () => '',
  )
  if (loaded.kind === 'invalid') throw new Error(JSON.stringify(loaded.issues))
  return loaded.config
}

test('a secret that is taken out is told once, and not by each reload until all is sealed anew', () => {
  let changes = 0
  const credentials = holdCredentials(configOf(OLD), { clock: manualClock(), changed: () => void changes++ })
  const ring = credentials.keptRings('test')
  const kept = ring.seal('kept', 'context')
  const reload = (...secrets: readonly (string | undefined)[]): number => {
    const before = changes
    credentials.prepare(configOf(...secrets).live.credentials)()
    return changes - before
  }
  expect(reload(NEW, OLD)).toBe(0)
  expect(reload(NEW)).toBeGreaterThan(0)
  expect([reload(NEW), reload(NEW), reload(NEXT, NEW)]).toEqual([0, 0, 0])
  expect(ring.open(kept, 'context')).toBe('kept')
  expect(credentials.keyRings('test').open(kept, 'context')).toBeUndefined()
  expect(reload(NEXT)).toBeGreaterThan(0)
  expect(ring.open(kept, 'context')).toBe('kept')
  credentials.sealedAnew()
  expect(ring.open(kept, 'context')).toBeUndefined()
  credentials.close()
})
