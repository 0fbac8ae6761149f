import { demoSeed } from './demo-seed.ts'
import { createRandom, type Random } from './model/random.ts'
import type { Span } from '../../src/types.ts'
import type { PersonStatus } from './model/types.ts'
import type { Seed } from './seed.ts'

export interface OrgSize {
  readonly people: number
  readonly groups: number
  /** Average number of groups a person is in, `Everyone` not counted. */
  readonly groupsEach: number
}

/** The three orgs for cost measurements (okta-api.md#what-it-costs-to-stay-fresh). */
export const ORG_SIZES = {
  '1k': { people: 1000, groups: 100, groupsEach: 10 },
  '20k': { people: 20_000, groups: 1000, groupsEach: 15 },
  '100k': { people: 100_000, groups: 5000, groupsEach: 20 },
} as const satisfies Record<string, OrgSize>

/** Id, name and login of what the generator makes, by number from 0: a benchmark needs no list to name them. */
export const generated = {
  personId: (number: number): string => `00ugen${String(number).padStart(14, '0')}`,
  login: (number: number): string => `person${number}@example.com`,
  groupId: (number: number): string => `00ggen${String(number).padStart(14, '0')}`,
  groupName: (number: number): string => `Group ${number}`,
}

/**
 * An org of this size beside the demo's people, groups, app and token (or another `base`). The same size gives the same
 * org. A few groups have many members and many have few; every tenth is an APP_GROUP; 3 % of the people are
 * DEPROVISIONED and 1 % SUSPENDED. People are made one by one while the org is planted: no list of them exists.
 */
export function generatedSeed(size: keyof typeof ORG_SIZES | OrgSize, base: Seed = demoSeed()): Seed {
  const { people, groups, groupsEach } = typeof size === 'string' ? ORG_SIZES[size] : size
  return {
    ...base,
    groups: [...(base.groups ?? []), ...Array.from({ length: groups }, (_, number) => groupOf(number))],
    people: {
      *[Symbol.iterator]() {
        yield* base.people ?? []
        const random = createRandom(people)
        for (let number = 0; number < people; number++) {
          yield { ...personOf(number), groups: groupsOf(random, groups, groupsEach) }
        }
      },
    },
  }
}

function groupOf(number: number): NonNullable<Seed['groups']>[number] {
  return {
    id: generated.groupId(number),
    name: generated.groupName(number),
    type: number % 10 === 9 ? 'APP_GROUP' : 'OKTA_GROUP',
  }
}

function personOf(number: number): {
  id: string
  login: string
  firstName: string
  lastName: string
  status: PersonStatus
  created: Span
  lastUpdated: Span
} {
  return {
    created: FOUNDED,
    // Dated long ago, so that a new org does not look like one in which everything changed.
    lastUpdated: FOUNDED,
    id: generated.personId(number),
    login: generated.login(number),
    firstName: FIRST_NAMES[number % FIRST_NAMES.length] ?? '',
    lastName: LAST_NAMES[Math.floor(number / FIRST_NAMES.length) % LAST_NAMES.length] ?? '',
    status: statusOf(number % 100),
  }
}

function statusOf(percent: number): PersonStatus {
  if (percent < 96) return 'ACTIVE'
  return percent === 96 ? 'SUSPENDED' : 'DEPROVISIONED'
}

/** Half to one and a half times the average, the low numbers more often. */
function groupsOf(random: Random, groups: number, each: number): readonly string[] {
  const wanted = Math.min(groups, Math.round(each * (0.5 + random())))
  const chosen = new Set<number>()
  while (chosen.size < wanted) chosen.add(Math.floor(groups * random() ** 2))
  return [...chosen].map(generated.groupId)
}

const FOUNDED = Date.UTC(2026, 0, 1)
const FIRST_NAMES = ['Ada', 'Ben', 'Cleo', 'Dan', 'Eva', 'Finn', 'Gail', 'Hugo', 'Iris', 'Jan']
const LAST_NAMES = ['Abel', 'Brook', 'Castle', 'Dale', 'East', 'Field', 'Grove', 'Hill', 'Ives', 'Jones', 'Knox']
