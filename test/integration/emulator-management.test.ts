import okta from '@okta/okta-sdk-nodejs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createOktaEmulator, type OktaEmulator } from '../../emulator/okta/emulator.ts'

const TOKEN = '00test-token'
const PEOPLE = 450
const GROUPS = 230

let emulator: OktaEmulator
let client: okta.Client

beforeAll(async () => {
  emulator = await createOktaEmulator({ seed: { tokens: [{ value: TOKEN, owner: 'admin@example.com' }] } })
  const joiner = emulator.addUser({ login: 'joiner@example.com' })
  for (let n = 1; n < GROUPS; n++) emulator.addMember(emulator.addGroup(`group-${n}`).id, joiner.id)
  const crowd = emulator.addGroup('crowd')
  for (let n = 2; n < PEOPLE; n++) {
    emulator.org.addMember(crowd.id, emulator.addUser({ login: `person${n}@example.com` }).id)
  }
  client = new okta.Client({ orgUrl: emulator.url, token: TOKEN, testing: { disableHttpsCheck: true } })
})
afterAll(() => emulator.close())

async function ids(collection: AsyncIterable<{ id?: string } | null>): Promise<readonly string[]> {
  const found: string[] = []
  for await (const item of collection) found.push(item?.id ?? '')
  return found
}

describe("Okta's Node SDK", () => {
  test('pages all users, 200 at a time', async () => {
    emulator.clearCalls()
    const users = await ids(await client.userApi.listUsers({ limit: 200 }))
    expect(new Set(users).size).toBe(PEOPLE)
    expect(users).toHaveLength(PEOPLE)
    expect(emulator.calls().map((call) => [call.path, call.status])).toEqual(Array(3).fill(['/api/v1/users', 200]))
  })

  test('pages all groups, Everyone among them', async () => {
    const groups = await ids(await client.groupApi.listGroups({ limit: 200 }))
    expect(groups).toHaveLength(GROUPS + 1)
    expect(groups).toContain(emulator.org.everyone.id)
  })

  test('pages the members of a group, and the groups of a user', async () => {
    const crowd = emulator.org.findGroup('crowd')?.id ?? ''
    const members = await ids(await client.groupApi.listGroupUsers({ groupId: crowd, limit: 200 }))
    expect(members).toHaveLength(PEOPLE - 2)
    emulator.clearCalls()
    const groups = await ids(await client.userApi.listUserGroups({ userId: 'joiner@example.com' }))
    expect(groups).toHaveLength(GROUPS)
    expect(emulator.calls()).toHaveLength(2)
  })
})
