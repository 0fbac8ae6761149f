import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createOktaClient, type OktaClient } from '../../../src/directory/okta/client.ts'
import { createOktaSource, type OktaSource } from '../../../src/directory/okta/source.ts'
import { Secret } from '../../../src/lib/secret.ts'
import { recordedLog } from './recorded-log.ts'
import {
  type Answer,
  cutOff,
  json,
  oktaError,
  oktaGroup,
  type ScriptedOkta,
  startScriptedOkta,
} from './scripted-okta.ts'
import { type WatchedClock, watchedClock } from './watched-clock.ts'

const ANN = '00u1annAnnAnnAnnAnn1'
const GROUPS = `/api/v1/users/${ANN}/groups`

let clock: WatchedClock
let okta: ScriptedOkta
let client: OktaClient
let source: OktaSource
let log: ReturnType<typeof recordedLog>

beforeEach(async () => {
  clock = watchedClock()
  okta = await startScriptedOkta(clock)
  log = recordedLog()
  client = createOktaClient({
    origin: okta.origin,
    credentials: { kind: 'token', token: new Secret('00token') },
    clock,
    timeout: 10_000,
    budget: 0.5,
  })
  source = createOktaSource({ client, clock, logger: log })
})

afterEach(async () => {
  await client.close()
  await okta.close()
})

const look = (user = ANN) => source.lookup(user, new AbortController().signal)
const annIs = () => json(200, { id: ANN, status: 'ACTIVE' })
const page = (groups: readonly unknown[], next?: number) =>
  json(200, groups, next === undefined ? {} : { link: `<${GROUPS}?after=${next}>; rel="next"` })

describe('status', () => {
  test.each([
    ['ACTIVE', 'active'],
    ['PASSWORD_EXPIRED', 'active'],
    ['RECOVERY', 'active'],
    ['SUSPENDED', 'inactive'],
    ['DEPROVISIONED', 'inactive'],
    ['LOCKED_OUT', 'inactive'],
    ['STAGED', 'inactive'],
    ['PROVISIONED', 'inactive'],
    ['SOMETHING_NEW', 'inactive'],
    ['active', 'inactive'],
  ])('%s is %s', async (statusText, status) => {
    okta.setPerson(ANN, statusText, [oktaGroup('00g1')])
    expect(await look()).toMatchObject({ status, statusText })
  })

  test('groups of an inactive person are not read: Okta keeps them after a deactivation', async () => {
    okta.setPerson(ANN, 'DEPROVISIONED', [oktaGroup('00g1')])
    expect((await look())?.groups).toEqual([])
    expect(okta.calls).toHaveLength(1)
  })
})

describe('who is read', () => {
  test("the token's owner is not anybody: an answer about another person is no answer", async () => {
    okta.answerAll(json(200, { id: '00u1ownerOwnerOwner1', status: 'ACTIVE' }))
    expect(await look('me')).toBeUndefined()
  })

  test('an id that would lead elsewhere is not sent', async () => {
    for (const id of ['..', 'a/../b', 'a?b', 'a#b', 'a b', 'a%2Fb', 'ann@example.com'])
      expect(await look(id)).toBeUndefined()
    expect(okta.calls).toHaveLength(0)
  })
})

describe('groups', () => {
  test('reads 200 groups a page; asOf is the Date of the first answer less two seconds', async () => {
    okta.skew = 600_000
    okta.setPerson(ANN, 'ACTIVE', [
      oktaGroup('00g1', 'Everyone', 'BUILT_IN'),
      oktaGroup('00g2', 'Payroll', 'APP_GROUP'),
    ])
    expect(await look()).toEqual({
      subject: ANN,
      status: 'active',
      statusText: 'ACTIVE',
      groups: [
        { id: '00g1', name: 'Everyone', type: 'BUILT_IN' },
        { id: '00g2', name: 'Payroll', type: 'APP_GROUP' },
      ],
      asOf: clock.now() + 600_000 - 2000,
      upTo: clock.now() + 600_000 + 1000,
    })
    expect(okta.calls[1]?.query.get('limit')).toBe('200')
  })

  test('a group of an unknown type does not match by name', async () => {
    okta.setPerson(ANN, 'ACTIVE', [oktaGroup('00g1', 'Engineering', 'SHINY_GROUP')])
    expect((await look())?.groups).toEqual([{ id: '00g1', name: 'Engineering', type: 'APP_GROUP' }])
  })

  test.each([
    ['no id', { type: 'OKTA_GROUP', profile: { name: 'x' } }],
    ['no profile', { id: '00g9', type: 'OKTA_GROUP' }],
    ['a number for a name', { id: '00g9', type: 'OKTA_GROUP', profile: { name: 7 } }],
    ['null', null],
    ['a list', []],
  ])('one record that cannot be read (%s) is left out, counted and told', async (_name, record) => {
    okta.answerNext(annIs(), page([oktaGroup('00g1'), record, oktaGroup('00g2')]))
    expect((await look())?.groups.map(({ id }) => id)).toEqual(['00g1', '00g2'])
    expect(source.skipped()).toBe(1)
    expect(log.lines).toEqual([
      {
        level: 'warn',
        fields: { path: GROUPS, unreadable: 1 },
        message: 'okta: group records that cannot be read were left out',
      },
    ])
  })

  test('a page of nothing but unreadable records is another format, not a person without groups', async () => {
    okta.answerNext(annIs(), page([{ groupId: '00g1' }]))
    await expect(look()).rejects.toMatchObject({
      code: 'ERR_DIRECTORY_BAD_ANSWER',
      message: `okta: GET ${GROUPS} holds no group that can be read`,
    })
  })

  test.each([
    ['an object', { groups: [] }, `okta: GET ${GROUPS} is not a list`],
    ['null', null, `okta: GET ${GROUPS} is not a list`],
  ])('%s instead of a list', async (_name, body, message) => {
    okta.answerNext(annIs(), json(200, body))
    await expect(look()).rejects.toMatchObject({ code: 'ERR_DIRECTORY_BAD_ANSWER', message })
  })

  test('a person record without a status', async () => {
    okta.answerNext(json(200, { id: ANN }))
    await expect(look()).rejects.toMatchObject({
      code: 'ERR_DIRECTORY_BAD_ANSWER',
      message: `okta: GET /api/v1/users/${ANN} is not a user`,
    })
  })

  test('somebody deleted between the two calls is gone', async () => {
    okta.answerNext(annIs(), oktaError(404, 'E0000007'))
    expect(await look()).toBeUndefined()
  })
})

describe('never half a set: the first page is good, the second', () => {
  const first = () => page([oktaGroup('00g1')], 1)

  test.each<[string, Answer, string]>([
    ['forbidden', oktaError(403, 'E0000006'), 'ERR_DIRECTORY_FORBIDDEN'],
    ['a bad cursor', oktaError(400, 'E0000001'), 'ERR_DIRECTORY_BAD_ANSWER'],
    ['gone', oktaError(404, 'E0000007'), 'ERR_DIRECTORY_BAD_ANSWER'],
    [
      'half a list',
      (_req, res) => res.writeHead(200, { 'content-type': 'application/json' }).end('[{"id":"00g2",'),
      'ERR_DIRECTORY_BAD_ANSWER',
    ],
    [
      'HTML',
      (_req, res) => res.writeHead(200, { 'content-type': 'text/html' }).end('<p>[]</p>'),
      'ERR_DIRECTORY_BAD_ANSWER',
    ],
    ['elsewhere', json(200, [], { link: '<http://evil.example/api/v1/x>; rel="next"' }), 'ERR_DIRECTORY_BAD_ANSWER'],
  ])('%s', async (_name, second, code) => {
    okta.answerNext(annIs(), first(), second)
    await expect(look()).rejects.toMatchObject({ code })
  })

  test.each<[string, Answer]>([
    ['500', oktaError(500, 'E0000009')],
    ['cut in the middle', cutOff],
  ])('%s, twice', async (_name, second) => {
    okta.answerNext(annIs(), first(), second, second)
    const entry = look()
    void clock.armed(250, 250).then(() => clock.advance(250))
    await expect(entry).rejects.toMatchObject({ code: 'ERR_DIRECTORY_UNREACHABLE' })
  })
})
