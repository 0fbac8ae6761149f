import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createOktaClient, type OktaClient } from '../../../src/directory/okta/client.ts'
import { HOOK_EVENT_TYPES, LOG_FILTER, type LogEvent, signalsOf } from '../../../src/directory/okta/events.ts'
import { createOktaLog, type OktaLog } from '../../../src/directory/okta/log.ts'
import { Secret } from '../../../src/lib/secret.ts'
import { recordedLog } from './recorded-log.ts'
import { json, oktaError, type ScriptedOkta, startScriptedOkta } from './scripted-okta.ts'
import { type WatchedClock, watchedClock } from './watched-clock.ts'

const ANN = '00u1annAnnAnnAnnAnn1'
const ENG = '00g1engEngEngEngEng1'
const APP = '0oa1appAppAppAppApp1'

let clock: WatchedClock
let okta: ScriptedOkta
let client: OktaClient
let lines: ReturnType<typeof recordedLog>
let log: OktaLog

beforeEach(async () => {
  clock = watchedClock()
  okta = await startScriptedOkta(clock)
  lines = recordedLog()
  const credentials = { kind: 'token', token: new Secret('00token') } as const
  client = createOktaClient({ origin: okta.origin, credentials, clock, timeout: 5000, budget: 0.5 })
  log = createOktaLog({ client, clock, logger: lines, apps: [APP] })
})

afterEach(async () => {
  await client.close()
  await okta.close()
})

function event(eventType: string, more: Partial<LogEvent> = {}, ago = 1000): LogEvent {
  return {
    uuid: `${eventType} ${ago} ${JSON.stringify(more)}`,
    eventType,
    published: new Date(clock.now() - ago).toISOString(),
    outcome: { result: 'SUCCESS' },
    target: [
      { id: ENG, type: 'UserGroup' },
      { id: ANN, type: 'User' },
    ],
    ...more,
  }
}

const answer = (events: readonly unknown[], after = 'n1') =>
  okta.answerNext(json(200, events, { link: `<${okta.origin}/api/v1/logs?after=${after}>; rel="next"` }))
const read = (cursor?: string, lastPublished = clock.now()) =>
  log.read({ cursor, lastPublished }, new AbortController().signal)

describe('a look at the log', () => {
  test('asks for what is acted upon, ascending and without an end, with ten minutes of overlap', async () => {
    answer([])
    await read(undefined, clock.now() - 5000)
    expect(okta.calls[0]?.path).toBe('/api/v1/logs')
    expect(Object.fromEntries(okta.calls[0]?.query ?? [])).toEqual({
      since: new Date(clock.now() - 605_000).toISOString(),
      sortOrder: 'ASCENDING',
      limit: '1000',
      filter: LOG_FILTER,
    })
  })

  test('goes on where Okta says, and nowhere else', async () => {
    answer([event('group.user_membership.remove')])
    const page = await read()
    expect(page.position.cursor).toBe('/api/v1/logs?after=n1')
    expect(page.signals).toEqual([{ kind: 'member', user: ANN, group: ENG, member: false, at: clock.now() - 1000 }])
    okta.answerNext(json(200, [], { link: '<https://evil.example/api/v1/logs?after=x>; rel="next"' }))
    await expect(read(page.position.cursor)).rejects.toMatchObject({
      code: 'ERR_DIRECTORY_BAD_ANSWER',
      message: `okta: the next page must be on ${okta.origin}, not on https://evil.example`,
    })
    okta.answerNext(json(200, [], { link: `<${okta.origin}/api/v1/users?after=x>; rel="next"` }))
    expect((await read(page.position.cursor)).position.cursor).toBeUndefined()
  })

  test('is not at its end while pages may be full, or hold what is old', async () => {
    answer(Array.from({ length: 100 }, (_, n) => event('user.session.clear', { uuid: `${n}` })))
    expect((await read()).atEnd).toBe(false)
    answer([event('user.session.clear', {}, 31_000)])
    expect((await read()).atEnd).toBe(false)
    answer([event('user.session.clear')])
    expect((await read()).atEnd).toBe(true)
    answer([])
    expect((await read()).atEnd).toBe(true)
  })

  test('tells an event once, but only after it was applied', async () => {
    const same = event('user.session.clear')
    for (let n = 0; n < 3; n++) answer([same])
    expect((await read()).signals).toHaveLength(1)
    const again = await read()
    expect(again.signals).toHaveLength(1)
    again.applied()
    expect((await read()).signals).toEqual([])
  })

  test('leaves out what cannot be read, counts it and goes on', async () => {
    answer([
      null,
      { uuid: 'x' },
      event('user.session.clear', { published: 'yesterday' }),
      event('user.lifecycle.suspend'),
    ])
    const page = await read()
    expect(page.signals).toEqual([{ kind: 'inactive', user: ANN, statusText: 'SUSPENDED', at: clock.now() - 1000 }])
    expect(log.counts().skipped).toBe(3)
  })

  test('never believes the future', async () => {
    answer([event('group.user_membership.remove', {}, -86_400_000)])
    const page = await read()
    expect(page.signals).toMatchObject([{ at: clock.now() + 1000 }])
    expect(page.position.lastPublished).toBe(clock.now())
  })

  test.each([
    [400, 'E0000031'],
    [404, 'E0000007'],
    [410, 'E0000008'],
  ])('a position that is answered with %i is read again from the last event', async (status, code) => {
    okta.answerNext(oktaError(status, code))
    answer([], 'n2')
    const page = await read('/api/v1/logs?after=old', clock.now() - 60_000)
    expect(page.position.cursor).toBe('/api/v1/logs?after=n2')
    expect(okta.calls[1]?.query.get('since')).toBe(new Date(clock.now() - 660_000).toISOString())
    expect(log.counts().restarts).toBe(1)
  })

  test('without the right to read is a fault of its own', async () => {
    okta.answerNext(oktaError(403, 'E0000006'))
    await expect(read()).rejects.toMatchObject({ code: 'ERR_DIRECTORY_FORBIDDEN' })
  })
})

describe('what an event means', () => {
  const ours = (lead = 0) => ({ apps: [APP], now: clock.now(), lead })
  const meaning = (eventType: string, more: Partial<LogEvent> = {}) =>
    signalsOf(event(eventType, more), ours()).map(({ kind }) => kind)

  test.each([
    ['user.lifecycle.deactivate', ['inactive']],
    ['user.lifecycle.delete.initiated', ['inactive']],
    ['user.account.lock', ['inactive']],
    ['user.lifecycle.unsuspend', ['reread']],
    ['user.session.clear', ['sessions-ended']],
    ['group.lifecycle.delete', ['group-deleted']],
    ['system.import.group.delete', ['group-deleted']],
    ['group.profile.update', ['read-group']],
    ['system.import.group_membership.complete', ['reconcile']],
    ['user.session.start', []],
    ['constructor', []],
    ['__proto__', []],
  ])('%s: %j', (eventType, kinds) => {
    expect(meaning(eventType)).toEqual(kinds)
  })

  test('events of an import: the older type says added or removed; an unclear pair asks for a comparison', () => {
    const old = (what: string): Partial<LogEvent> => ({
      legacyEventType: `app.user_management.app_group_member_import.${what}`,
    })
    expect(signalsOf(event('app.user_management', old('insert_success')), ours())).toMatchObject([{ member: true }])
    expect(signalsOf(event('app.user_management', old('delete_success')), ours())).toMatchObject([{ member: false }])
    expect(meaning('app.user_management', old('delete_failure'))).toEqual([])
    expect(meaning('app.user_management', { ...old('delete_success'), target: [{ id: ANN, type: 'User' }] })).toEqual([
      'reread',
      'reconcile',
    ])
  })

  test.each(['FAILURE', 'SKIPPED', 'DENY', 'UNKNOWN'])('with the outcome %s it is nothing', (result) => {
    expect(meaning('user.lifecycle.deactivate', { outcome: { result } })).toEqual([])
  })

  test('only our own application can be taken away', () => {
    const from = (id: string): Partial<LogEvent> => ({
      target: [
        { id, type: 'AppInstance' },
        { id: ANN, type: 'User' },
        { id: ENG, type: 'UserGroup' },
      ],
    })
    expect(meaning('application.user_membership.remove', from(APP))).toEqual(['sessions-ended'])
    expect(meaning('application.user_membership.remove', from('0oa2'))).toEqual([])
    expect(meaning('group.application_assignment.remove', from(APP))).toEqual(['group-sessions-ended'])
  })

  test('targets that are no ids are nobody', () => {
    expect(meaning('user.lifecycle.suspend', { target: [{ id: '../../me', type: 'User' }] })).toEqual([])
    expect(meaning('user.lifecycle.suspend', { target: null })).toEqual([])
  })

  test('hooks are asked for all that hooks can tell', () => {
    expect(HOOK_EVENT_TYPES).toContain('group.user_membership.remove')
    expect(HOOK_EVENT_TYPES).not.toContain('system.import.group_membership.complete')
    for (const type of HOOK_EVENT_TYPES) expect(LOG_FILTER).toContain(`eventType eq "${type}"`)
  })
})
