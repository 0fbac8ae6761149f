import { expect, test } from 'vitest'
import { globalKeys, type Key, routeKeys } from '../../../src/config/keys.ts'
import { globalSamples, routeSamples } from '../../support/reload-samples.ts'
import type { ReloadWorld } from '../../support/reload-world.ts'

/** Nothing runs here: the samples are only listed. test/integration/reload-keys.test.ts tries them. */
const world = {
  base: { routes: [{ from: 'http://app.localhost', to: 'http://127.0.0.1:1' }] },
  upstreams: { other: '', tls: '', mtls: '', mute: '' },
  path: () => '',
} as unknown as ReloadWorld

test.each([
  ['outside routes', globalKeys, globalSamples(world)],
  ['of a route', routeKeys, routeSamples(world)],
] as const)(
  'every key %s has two values in test/support/reload-samples.ts, and no other key has',
  (_, keys, samples) => {
    const names = keys.map(({ path }: Key) => path.join('.'))
    // The file of a secret has the samples of the secret.
    const own = names.filter((name) => !(name.endsWith('_file') && names.includes(name.slice(0, -'_file'.length))))
    expect(own.filter((name) => !Object.hasOwn(samples, name))).toEqual([])
  },
)
