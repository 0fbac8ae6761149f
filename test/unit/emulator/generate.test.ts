import { describe, expect, test } from 'vitest'
import { generated, generatedSeed, type OrgSize } from '../../../emulator/okta/generate.ts'
import { emulatorOptions } from '../../../emulator/okta/main.ts'
import { createIds } from '../../../emulator/okta/model/ids.ts'
import { createOrg, type Org } from '../../../emulator/okta/model/org.ts'
import { createRandom, shuffle } from '../../../emulator/okta/model/random.ts'
import { plant } from '../../../emulator/okta/seed.ts'
import { manualClock } from '../../support/clock.ts'

const SMALL: OrgSize = { people: 400, groups: 50, groupsEach: 8 }

function planted(size: OrgSize | '1k'): Org {
  const org = createOrg({ clock: manualClock(), ids: createIds('test') })
  org.quietly(() => plant(org, generatedSeed(size)))
  return org
}

const membershipsOf = (org: Org): readonly string[] =>
  org.people.ordered().map(
    ({ id }) =>
      `${id} ${org
        .groupsOf(id)
        .map((group) => group.id)
        .join(' ')}`,
  )

describe('the generator', () => {
  test('makes the same org for the same size', () => {
    const seed = generatedSeed(SMALL)
    const plantAgain = (): Org => {
      const org = createOrg({ clock: manualClock(), ids: createIds('test') })
      plant(org, seed)
      return org
    }
    const [first, second] = [plantAgain(), plantAgain()]
    expect(membershipsOf(first)).toEqual(membershipsOf(second))
    expect(membershipsOf(planted(SMALL))).toEqual(membershipsOf(first))
  })

  test('has the size it says, beside the people and groups of the demo', () => {
    const org = planted('1k')
    expect(org.people.size).toBe(1000 + 5)
    expect(org.groups.size).toBe(100 + 3)
    const each = org.people.ordered().filter(({ id }) => id.startsWith('00ugen'))
    const memberships = each.reduce((sum, { id }) => sum + org.groupsOf(id).length - 1, 0)
    expect(memberships / each.length).toBeGreaterThan(9)
    expect(memberships / each.length).toBeLessThan(11)
  })

  test('people and groups are found by number, and all ids have 20 characters', () => {
    const org = planted(SMALL)
    expect(org.findPerson(generated.login(7))?.id).toBe(generated.personId(7))
    expect(org.findGroup(generated.groupName(49))?.id).toBe(generated.groupId(49))
    expect([...org.people.ordered(), ...org.groups.ordered()].every(({ id }) => id.length === 20)).toBe(true)
    expect(org.findGroup(generated.groupName(9))?.type).toBe('APP_GROUP')
    expect(new Set(org.people.ordered().map(({ status }) => status))).toContain('DEPROVISIONED')
  })

  test('groups have different sizes, and both sides of a membership agree', () => {
    const org = planted(SMALL)
    const first = generated.groupId(0)
    expect(org.memberCount(first)).toBeGreaterThan(2 * org.memberCount(generated.groupId(45)))
    const byPeople = org.people.ordered().filter(({ id }) => org.groupsOf(id).some((group) => group.id === first))
    expect(org.membersOf(first).map(({ id }) => id)).toEqual(byPeople.map(({ id }) => id))
  })
})

test('random numbers repeat with the seed, and a shuffle loses nothing', () => {
  const [left, right] = [createRandom(7), createRandom(7)]
  const numbers = Array.from({ length: 1000 }, left)
  expect(Array.from({ length: 1000 }, right)).toEqual(numbers)
  expect(numbers.every((number) => number >= 0 && number < 1)).toBe(true)
  expect(new Set(numbers).size).toBeGreaterThan(990)
  const items = Array.from({ length: 50 }, (_, index) => index)
  const shuffled = shuffle(items, left)
  expect(shuffled).not.toEqual(items)
  expect(shuffled.toSorted((a, b) => a - b)).toEqual(items)
})

describe('the command line', () => {
  test('reads port, size, token, redirect URIs and plan', () => {
    const line =
      '--port 9001 --size 1k --token 00mine --rate-limits integrator --redirect-uri http://a.localhost/cb --redirect-uri http://b.localhost/cb'
    const options = emulatorOptions(line.split(' '))
    expect(options).toMatchObject({ port: 9001, rateLimits: 'integrator' })
    expect(options.seed?.tokens).toEqual([{ value: '00mine', owner: 'service@example.com', role: 'SUPER_ADMIN' }])
    expect(options.seed?.apps?.[0]?.redirectUris).toEqual(['http://a.localhost/cb', 'http://b.localhost/cb'])
    expect([...(options.seed?.people ?? [])]).toHaveLength(1005)
  })

  test.each([
    [['--size', '5k'], '--size: expected one of demo, 1k, 20k, 100k, not 5k'],
    [['--port', 'x'], '--port: x is no port'],
    [['--what'], "Unknown option '--what'"],
  ])('%j is refused', (args, message) => {
    expect(() => emulatorOptions(args)).toThrow(message)
  })
})
