import { afterEach, beforeEach, expect, test } from 'vitest'
import { createStreamRegistry } from '../../../src/session/streams.ts'
import type { OpenStream, StreamPlace, StreamRegistry } from '../../../src/http/exchange.ts'
import { type ManualClock, manualClock } from '../../support/clock.ts'
import { person } from '../../support/person.ts'

let clock: ManualClock
let registry: StreamRegistry
let cuts: string[]
beforeEach(() => {
  clock = manualClock()
  registry = createStreamRegistry({ clock })
  cuts = []
})
afterEach(() => registry.close())

function stream(name: string, rest: Partial<OpenStream> = {}): OpenStream {
  return {
    credential: `session of ${name}`,
    person: person(name),
    openedAt: clock.monotonic(),
    expiresAt: clock.now() + 3_600_000,
    stillAllowed: () => true,
    stillKnown: () => Promise.resolve(true),
    cut: (reason) => cuts.push(`${name}: ${reason}`),
    ...rest,
  }
}

test('end cuts the streams of that credential once, and no others', () => {
  registry.add(stream('ann'))
  registry.add(stream('ann'))
  registry.add(stream('bob'))
  registry.end('session of ann', 'signed-out')
  registry.end('session of ann', 'revoked')
  expect(cuts).toEqual(['ann: signed-out', 'ann: signed-out'])
  expect(registry.size).toBe(1)
})

test('a stream is cut within a second of its expiry, not before', () => {
  registry.add(stream('ann', { expiresAt: clock.now() + 5500 }))
  registry.add(stream('bob'))
  clock.advance(5000)
  expect(cuts).toEqual([])
  clock.advance(1000)
  expect(cuts).toEqual(['ann: expired'])
  clock.advance(60_000)
  expect(cuts).toEqual(['ann: expired'])
})

test('a recheck asks the streams of one person, and cuts those that no longer pass', () => {
  registry.add(stream('ann', { stillAllowed: () => false }))
  registry.add(stream('ann'))
  registry.add(stream('bob', { stillAllowed: () => false }))
  registry.recheck(person('ann'))
  expect(cuts).toEqual(['ann: no-longer-allowed'])
  registry.recheck()
  expect(cuts).toEqual(['ann: no-longer-allowed', 'bob: no-longer-allowed'])
  expect(registry.size).toBe(1)
})

test('confirm cuts whoever is gone, lets nobody go who cannot be asked for, and says so', async () => {
  let faults = true
  registry.add(stream('ann', { stillKnown: () => Promise.resolve(false) }))
  registry.add(stream('bob'))
  registry.add(
    stream('cyd', { stillKnown: () => (faults ? Promise.reject(new Error('down')) : Promise.resolve(false)) }),
  )
  registry.add(stream('nobody', { credential: undefined, stillKnown: () => Promise.resolve(false) }))
  expect(await registry.confirm()).toBe(false)
  expect(cuts).toEqual(['ann: signed-out'])
  faults = false
  expect(await registry.confirm()).toBe(true)
  expect(cuts).toEqual(['ann: signed-out', 'cyd: signed-out'])
  expect(registry.size).toBe(2)
})

test('endOlder cuts whoever has shown a credential, but not what was opened since', () => {
  registry.add(stream('ann'))
  registry.add(stream('nobody', { credential: undefined }))
  clock.advance(1000)
  const instant = clock.monotonic()
  registry.add(stream('bob'))
  registry.endOlder(instant, 'store-unavailable')
  expect(cuts).toEqual(['ann: store-unavailable'])
})

test('confirm asks for everybody, however many', async () => {
  for (let n = 0; n < 250; n++) registry.add(stream(`p${n}`, { stillKnown: () => Promise.resolve(n % 2 === 0) }))
  expect(await registry.confirm()).toBe(true)
  expect(registry.size).toBe(125)
})

test('a stream whose check throws is cut', () => {
  const broken = () => {
    throw new Error('no answer')
  }
  registry.add(stream('ann', { stillAllowed: broken }))
  registry.recheck(person('ann'))
  expect(cuts).toEqual(['ann: no-longer-allowed'])
})

test('a stream that fails to close does not keep the others open', () => {
  const broken = () => {
    throw new Error('already gone')
  }
  registry.add(stream('ann', { cut: broken }))
  registry.add(stream('ann'))
  registry.end('session of ann', 'revoked')
  expect(cuts).toEqual(['ann: revoked'])
  expect(registry.size).toBe(0)
})

test('a stream that ended by itself is left alone', () => {
  const place = registry.add(stream('ann', { expiresAt: clock.now() }))
  expect(registry.size).toBe(1)
  place.leave()
  place.leave()
  expect(registry.size).toBe(0)
  registry.end('session of ann', 'revoked')
  registry.recheck()
  clock.advance(2000)
  expect(cuts).toEqual([])
})

test('a cut may remove and add streams', () => {
  const places: StreamPlace[] = []
  places.push(registry.add(stream('ann', { cut: () => places.forEach((one) => one.leave()) })))
  places.push(registry.add(stream('ann', { cut: () => void registry.add(stream('bob')) })))
  registry.end('session of ann', 'revoked')
  expect(registry.size).toBe(0)
})

test('after close nothing is cut', () => {
  registry.add(stream('ann', { expiresAt: clock.now() }))
  registry.close()
  clock.advance(2000)
  expect(cuts).toEqual([])
})
