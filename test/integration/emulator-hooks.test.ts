import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createOktaEmulator, type OktaEmulator } from '../../emulator/okta/emulator.ts'
import { type ManualClock, manualClock } from '../support/clock.ts'
import { createReceiver, type Received, type Receiver } from '../support/receiver.ts'

const TOKEN = '00test-token'
const SECRET = 'a secret of the receiver'
const ORIGIN = 'http://authenticate.localhost'

let clock: ManualClock
let emulator: OktaEmulator
let receiver: Receiver

beforeEach(async () => {
  clock = manualClock()
  receiver = await createReceiver()
  emulator = await createOktaEmulator({
    clock,
    seed: {
      tokens: [{ value: TOKEN, owner: 'admin@example.com' }],
      groups: [{ name: 'Engineering' }],
      people: Array.from({ length: 20 }, (_, n) => ({ login: `person${n}@example.com` })),
    },
  })
  emulator.routeOutbound(ORIGIN, { host: '127.0.0.1', port: receiver.port })
})
afterEach(async () => {
  await emulator.close()
  await receiver.close()
})

async function call(method: string, path: string, body?: object) {
  const response = await fetch(`${emulator.url}/api/v1/eventHooks${path}`, {
    method,
    headers: { authorization: `SSWS ${TOKEN}`, 'content-type': 'application/json' },
    ...(method !== 'GET' && { body: body ? JSON.stringify(body) : '' }),
  })
  const text = await response.text()
  return { status: response.status, json: text === '' ? undefined : JSON.parse(text) }
}

const hook = (change: object = {}, config: object = {}) => ({
  name: 'Postern',
  events: { type: 'EVENT_TYPE', items: ['group.user_membership.add', 'group.user_membership.remove'], filter: null },
  channel: {
    type: 'HTTP',
    version: '1.0.0',
    config: {
      uri: `${ORIGIN}/hooks`,
      headers: [{ key: 'X-Extra', value: 'yes' }],
      authScheme: { type: 'HEADER', key: 'Authorization', value: SECRET },
      ...config,
    },
  },
  ...change,
})

async function verifiedHook(): Promise<string> {
  receiver.answer(({ headers }, res) => {
    const verification = headers['x-okta-verification-challenge']
    if (verification === undefined) res.writeHead(204).end()
    else res.setHeader('content-type', 'application/json').end(JSON.stringify({ verification }))
  })
  const { json } = await call('POST', '', hook())
  expect(await call('POST', `/${json.id}/lifecycle/verify`)).toMatchObject({ json: { verificationStatus: 'VERIFIED' } })
  receiver.clear()
  return json.id
}

function join(count: number): void {
  for (let n = 0; n < count; n++) emulator.addMember('Engineering', `person${n}`)
}

interface Envelope {
  readonly source: string
  readonly eventId: string
  readonly data: { readonly events: readonly { readonly uuid: string; readonly [member: string]: unknown }[] }
}
const envelope = (request: Received | undefined): Envelope => JSON.parse(request?.body ?? '{}')
const uuids = (requests: readonly Received[]): readonly string[] =>
  requests.flatMap((request) => envelope(request).data.events.map(({ uuid }) => uuid))
const happened = (): readonly string[] => emulator.org.history().map(({ uuid }) => uuid)
const lastEvent = () => emulator.org.history().at(-1)

describe('the registration', () => {
  test('is ACTIVE and UNVERIFIED, and never shows the secret', async () => {
    const made = await call('POST', '', hook())
    expect(made).toMatchObject({
      status: 200,
      json: {
        id: expect.stringMatching(/^who[a-z0-9]{17}$/),
        status: 'ACTIVE',
        verificationStatus: 'UNVERIFIED',
        channel: { config: { uri: `${ORIGIN}/hooks`, authScheme: { type: 'HEADER', key: 'Authorization' } } },
      },
    })
    const list = await call('GET', '')
    expect(list.json).toEqual([made.json])
    expect(JSON.stringify([made, list])).not.toContain(SECRET)
    expect((await call('GET', `/${made.json.id}`)).json).toEqual(made.json)
    expect((await call('DELETE', `/${made.json.id}`)).status).toBe(204)
    expect(await call('GET', `/${made.json.id}`)).toMatchObject({
      status: 404,
      json: { errorCode: 'E0000007', errorSummary: `Not found: Resource not found: ${made.json.id} (EventHook)` },
    })
  })

  test.each([
    ['no name', hook({ name: '' }), 'name: The field cannot be left blank'],
    ['no types', hook({ events: { type: 'EVENT_TYPE', items: [] } }), 'events.items: must be 1 to 300 types'],
    [
      'a type for the log only',
      hook({ events: { type: 'EVENT_TYPE', items: ['system.import.group_membership.complete'] } }),
      'events.items: system.import.group_membership.complete is not eligible for event hooks',
    ],
    ['http elsewhere', hook({}, { uri: 'http://example.com/' }), 'channel.config.uri: must be an HTTPS URL'],
    ['no URL', hook({}, { uri: 'hooks' }), 'channel.config.uri: must be an HTTPS URL'],
    [
      'another kind of secret',
      hook({}, { authScheme: { type: 'OAUTH' } }),
      'channel.config.authScheme: must be of type HEADER and have a key',
    ],
  ])('%s is refused', async (_name, body, cause) => {
    expect(await call('POST', '', body)).toMatchObject({
      status: 400,
      json: { errorCode: 'E0000001', errorCauses: [{ errorSummary: cause }] },
    })
  })

  test('at most 25 are active', async () => {
    for (let n = 0; n < 25; n++) expect((await call('POST', '', hook())).status).toBe(200)
    expect(await call('POST', '', hook())).toMatchObject({
      status: 400,
      json: { errorCauses: [{ errorSummary: 'status: at most 25 event hooks may be active' }] },
    })
  })
})

describe('the verification', () => {
  test('sends a challenge and no secret, and accepts only its echo', async () => {
    const { json } = await call('POST', '', hook())
    receiver.answer((_request, res) => res.end('{"verification":"something else"}'))
    expect(await call('POST', `/${json.id}/lifecycle/verify`)).toMatchObject({
      status: 400,
      json: { errorCode: 'E0000001' },
    })
    expect(receiver.received).toHaveLength(1)
    expect(receiver.received[0]).toMatchObject({
      method: 'GET',
      url: '/hooks',
      headers: { host: 'authenticate.localhost' },
    })
    expect(receiver.received[0]?.headers.authorization).toBeUndefined()
    await verifiedHook()
  })

  test('a receiver that does not answer is asked twice, for 3 seconds each', async () => {
    const { json } = await call('POST', '', hook())
    receiver.answer(() => undefined)
    const verified = call('POST', `/${json.id}/lifecycle/verify`)
    for (const attempt of [1, 2]) {
      await receiver.count(attempt)
      clock.advance(2999)
      expect(receiver.received).toHaveLength(attempt)
      clock.advance(1)
    }
    expect((await verified).status).toBe(400)
    expect(receiver.received).toHaveLength(2)
  })

  test('a changed channel needs a new verification, a changed name does not', async () => {
    const id = await verifiedHook()
    expect((await call('PUT', `/${id}`, hook({ name: 'renamed' }))).json).toMatchObject({
      name: 'renamed',
      verificationStatus: 'VERIFIED',
    })
    expect((await call('PUT', `/${id}`, hook({}, { uri: `${ORIGIN}/elsewhere` }))).json).toMatchObject({
      verificationStatus: 'UNVERIFIED',
    })
  })
})

describe('the delivery', () => {
  test('has many log events in one cloud event, with the secret', async () => {
    const id = await verifiedHook()
    join(3)
    emulator.setStatus('person0', 'SUSPENDED')
    expect(receiver.received).toHaveLength(0)
    await emulator.flushHooks()
    expect(receiver.received).toHaveLength(1)
    expect(receiver.received[0]).toMatchObject({
      method: 'POST',
      headers: { authorization: SECRET, 'x-extra': 'yes', 'content-type': 'application/json' },
    })
    const body = envelope(receiver.received[0])
    expect(body).toMatchObject({
      eventType: 'com.okta.event_hook',
      eventTypeVersion: '1.0',
      cloudEventsVersion: '0.1',
      source: `${emulator.url}/api/v1/eventHooks/${id}`,
      contentType: 'application/json',
    })
    // The suspension was not subscribed to.
    expect(uuids(receiver.received)).toEqual(happened().slice(0, 3))
    expect(body.data.events[0]).toMatchObject({
      eventType: 'group.user_membership.add',
      insertionTimestamp: expect.any(String),
      client: { ipChain: expect.any(Array) },
    })
    expect(body.data.events[0]).not.toHaveProperty('request')
    expect(emulator.hookDeliveries()).toMatchObject([{ hookId: id, events: 3, attempt: 1, result: 204 }])
  })

  test('is sent when the window ends', async () => {
    await verifiedHook()
    emulator.hookBehaviour({ window: 250, delay: 60_000 })
    join(1)
    clock.advance(250 + 59_999)
    expect(receiver.received).toHaveLength(0)
    clock.advance(1)
    await receiver.count(1)
  })

  test('goes only to hooks that are active and verified', async () => {
    const id = await verifiedHook()
    await call('POST', `/${id}/lifecycle/deactivate`)
    await call('POST', '', hook())
    join(1)
    await emulator.flushHooks()
    expect(receiver.received).toHaveLength(0)
    await call('POST', `/${id}/lifecycle/activate`)
    emulator.removeMember('Engineering', 'person0')
    await emulator.flushHooks()
    expect(receiver.received).toHaveLength(1)
  })

  test.each([
    [503, 2, '503'],
    [404, 1, '404'],
    [302, 1, '302'],
  ])('an answer of %i makes %i attempts and a failure in the log', async (status, attempts, reason) => {
    await verifiedHook()
    receiver.answer((_request, res) => void res.writeHead(status, { location: '/elsewhere' }).end())
    join(1)
    await emulator.flushHooks()
    expect(receiver.received.map(({ url }) => url)).toEqual(Array(attempts).fill('/hooks'))
    expect(new Set(uuids(receiver.received)).size).toBe(1)
    expect(lastEvent()).toMatchObject({ eventType: 'event_hook.delivery', outcome: 'FAILURE', reason })
  })

  test('a receiver that takes 3 seconds is asked once more, which may succeed', async () => {
    await verifiedHook()
    receiver.answer(() => undefined)
    join(1)
    const flushed = emulator.flushHooks()
    await receiver.count(1)
    receiver.answer((_request, res) => void res.writeHead(200).end())
    clock.advance(3000)
    await flushed
    expect(emulator.hookDeliveries().map(({ result }) => result)).toEqual(['timeout', 200])
    expect(lastEvent()?.eventType).toBe('group.user_membership.add')
  })

  test('without a receiver makes two attempts and a failure in the log', async () => {
    await verifiedHook()
    emulator.routeOutbound(ORIGIN, { host: '127.0.0.1', port: 1 })
    join(1)
    await emulator.flushHooks()
    expect(emulator.hookDeliveries()).toHaveLength(2)
    expect(lastEvent()?.reason).toContain('ECONNREFUSED')
  })
})

describe('a delivery that is configured to be unreliable', () => {
  test('at most `size` events in one delivery', async () => {
    await verifiedHook()
    emulator.hookBehaviour({ size: 8 })
    join(20)
    await emulator.flushHooks()
    expect(receiver.received.map((request) => envelope(request).data.events.length).toSorted((a, b) => a - b)).toEqual([
      4, 8, 8,
    ])
    expect(uuids(receiver.received).toSorted()).toEqual(happened().toSorted())
  })

  test('duplicates: sends every event twice, the copy in another delivery', async () => {
    await verifiedHook()
    emulator.hookBehaviour({ duplicates: 1 })
    join(4)
    await emulator.flushHooks()
    expect(receiver.received).toHaveLength(2)
    expect(uuids(receiver.received)).toEqual([...happened(), ...happened()])
  })

  test('reordering: sends all events in another order', async () => {
    await verifiedHook()
    emulator.hookBehaviour({ reorder: true })
    join(20)
    await emulator.flushHooks()
    expect(uuids(receiver.received)).not.toEqual(happened())
    expect(uuids(receiver.received).toSorted()).toEqual(happened().toSorted())
  })

  test('loss: drops some events, and the log has them all', async () => {
    await verifiedHook()
    emulator.hookBehaviour({ losses: 0.5 })
    join(20)
    await emulator.flushHooks()
    const count = uuids(receiver.received).length
    expect(count).toBeGreaterThan(2)
    expect(count).toBeLessThan(18)
    expect(happened()).toHaveLength(20)
  })

  test('drops events beyond the daily limit, until the next day', async () => {
    await verifiedHook()
    emulator.hookBehaviour({ dailyLimit: 2 })
    join(5)
    await emulator.flushHooks()
    expect(uuids(receiver.received)).toHaveLength(2)
    clock.advance(24 * 3_600_000)
    emulator.removeMember('Engineering', 'person0')
    await emulator.flushHooks()
    expect(uuids(receiver.received)).toHaveLength(3)
  })
})

describe('close', () => {
  test('does not wait for a delivery that hangs, and sends nothing afterwards', async () => {
    await verifiedHook()
    receiver.answer(() => undefined)
    join(1)
    void emulator.flushHooks()
    await receiver.count(1)
    emulator.addMember('Engineering', 'person9')
    await emulator.close()
    clock.advance(60_000)
    expect(receiver.received).toHaveLength(1)
    emulator = await createOktaEmulator({ clock })
  })
})
