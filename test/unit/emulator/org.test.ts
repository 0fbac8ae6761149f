import { describe, expect, test } from 'vitest'
import { createIds } from '../../../emulator/okta/model/ids.ts'
import { createOrg } from '../../../emulator/okta/model/org.ts'
import { createSorted } from '../../../emulator/okta/model/sorted.ts'
import { chooseAssurance } from '../../../emulator/okta/oidc/assurance.ts'
import { manualClock } from '../../support/clock.ts'

function org() {
  const clock = manualClock()
  return { clock, org: createOrg({ clock, ids: createIds('test') }) }
}

describe('ids', () => {
  test('have 20 characters, ascend, and repeat with the seed', () => {
    const [first, second] = [createIds('a'), createIds('a')]
    const made = Array.from({ length: 200 }, () => first.next('00u'))
    expect(made.every((id) => /^00u[a-z0-9]{17}$/.test(id))).toBe(true)
    expect([...made].sort()).toEqual(made)
    expect(Array.from({ length: 200 }, () => second.next('00u'))).toEqual(made)
    expect(createIds('b').next('00u')).not.toBe(made[0])
  })
})

describe('sorted map', () => {
  test('from() gives keys in order after any key', () => {
    const map = createSorted<number>()
    for (const key of ['d', 'a', 'c', 'b']) map.set(key, key.charCodeAt(0))
    expect(map.keys()).toEqual(['a', 'b', 'c', 'd'])
    expect(map.keys('b')).toEqual(['c', 'd'])
    expect(map.keys('bb', 1)).toEqual(['c'])
    map.delete('c')
    expect(map.slice('b', 5)).toEqual(['d'.charCodeAt(0)])
  })
})

describe('org', () => {
  test('everybody is in Everyone, and nobody can be removed from it', () => {
    const { org: okta } = org()
    const alice = okta.addPerson({ login: 'alice@example.com' })
    expect(okta.groupsOf(alice.id).map((group) => group.name)).toEqual(['Everyone'])
    expect(okta.memberCount(okta.everyone.id)).toBe(1)
    expect(() => okta.addMember(okta.everyone.id, alice.id)).toThrow('Everyone cannot be edited')
    expect(okta.removeMember(okta.everyone.id, alice.id)).toBe(false)
  })

  test.each(['SUSPENDED', 'DEPROVISIONED', 'LOCKED_OUT'] as const)('%s keeps memberships', (status) => {
    const { org: okta } = org()
    const group = okta.addGroup({ name: 'Engineering' })
    const alice = okta.addPerson({ login: 'alice@example.com' })
    okta.addMember(group.id, alice.id)
    okta.setStatus(alice.id, status, 'event')
    expect(okta.membersOf(group.id).map((person) => person.status)).toEqual([status])
    expect(okta.groupsOf(alice.id)).toHaveLength(2)
  })

  test('a membership moves lastMembershipUpdated, a rename moves lastUpdated', () => {
    const { org: okta, clock } = org()
    const { id, lastUpdated } = okta.addGroup({ name: 'Engineering' })
    const alice = okta.addPerson({ login: 'alice@example.com' })
    clock.advance(5000)
    okta.addMember(id, alice.id)
    expect(okta.groups.get(id)).toMatchObject({ lastUpdated, lastMembershipUpdated: clock.now() })
    clock.advance(5000)
    okta.updateGroup(id, { name: 'Makers' })
    expect(okta.groups.get(id)).toMatchObject({ lastUpdated: clock.now(), lastMembershipUpdated: clock.now() - 5000 })
  })

  test('a person is found by id, by login in any case, and by short name when it is unambiguous', () => {
    const { org: okta } = org()
    const alice = okta.addPerson({ login: 'Alice@Example.com' })
    for (const name of [alice.id, 'alice@example.com', 'ALICE@example.com', 'alice']) {
      expect(okta.findPerson(name)?.id).toBe(alice.id)
    }
    okta.addPerson({ login: 'alice@other.example' })
    expect(okta.findPerson('alice')).toBeUndefined()
    expect(okta.findPerson('alic')).toBeUndefined()
  })

  test('an app is assigned directly, by a group, or not at all', () => {
    const { org: okta } = org()
    const group = okta.addGroup({ name: 'Engineering' })
    const [alice, bob] = [okta.addPerson({ login: 'alice@x' }), okta.addPerson({ login: 'bob@x' })]
    const app = okta.addApp({ redirectUris: ['https://app/cb'] })
    okta.addMember(group.id, alice.id)
    okta.assign(app.id, group.id)
    expect([alice, bob].map((person) => okta.isAssigned(app.id, person.id))).toEqual([true, false])
    okta.assign(app.id, bob.id)
    okta.unassign(app.id, group.id)
    expect([alice, bob].map((person) => okta.isAssigned(app.id, person.id))).toEqual([false, true])
  })

  test('deleting a group or a person removes its memberships and assignments', () => {
    const { org: okta } = org()
    const group = okta.addGroup({ name: 'Engineering' })
    const alice = okta.addPerson({ login: 'alice@x' })
    okta.addMember(group.id, alice.id)
    okta.deleteGroup(group.id)
    expect(okta.groupsOf(alice.id).map(({ name }) => name)).toEqual(['Everyone'])
    const other = okta.addGroup({ name: 'Other' })
    okta.addMember(other.id, alice.id)
    okta.deletePerson(alice.id)
    expect(okta.membersOf(other.id)).toEqual([])
    expect(okta.findPerson('alice@x')).toBeUndefined()
  })

  test('every change is announced as an event of the System Log', () => {
    const { org: okta } = org()
    const heard: string[] = []
    okta.onOccurrence(({ eventType }) => heard.push(eventType))
    const group = okta.addGroup({ name: 'Engineering' })
    const alice = okta.addPerson({ login: 'alice@x' })
    okta.addMember(group.id, alice.id)
    okta.addMember(group.id, alice.id)
    okta.removeMember(group.id, alice.id)
    okta.removeMember(group.id, alice.id)
    okta.deleteGroup(group.id)
    expect(heard).toEqual([
      'group.lifecycle.create',
      'user.lifecycle.create',
      'group.user_membership.add',
      'group.user_membership.remove',
      'group.lifecycle.delete',
    ])
    expect(okta.history().map(({ eventType }) => eventType)).toEqual(heard)
  })
})

describe('authentication context', () => {
  const { org: okta } = org()
  const one = okta.addPerson({ login: 'one@x' })
  const two = okta.addPerson({ login: 'two@x', secondFactor: true })
  test.each([
    [undefined, one, { acr: 'urn:okta:loa:1fa:any', factors: 1 }],
    ['urn:okta:loa:1fa:pwd', one, { acr: 'urn:okta:loa:1fa:pwd', factors: 1 }],
    ['made:up', one, { acr: 'urn:okta:loa:1fa:any', factors: 1 }],
    ['urn:okta:loa:2fa:any', one, 'unmet'],
    ['urn:okta:loa:2fa:any', two, { acr: 'urn:okta:loa:2fa:any', factors: 2 }],
    ['phr urn:okta:loa:1fa:any', two, { acr: 'urn:okta:loa:1fa:any', factors: 1 }],
    ['phrh', two, 'unmet'],
    ['urn:okta:loa:2fa:any:ifpossible', one, { acr: 'urn:okta:loa:2fa:any:ifpossible', factors: 1 }],
    ['urn:okta:loa:2fa:any:ifpossible', two, { acr: 'urn:okta:loa:2fa:any:ifpossible', factors: 2 }],
  ])('%s', (acrValues, person, expected) => {
    expect(chooseAssurance(acrValues, person)).toEqual(expected)
  })
})
