/** Which states of which pages docs/pages.md shows, and what the files are called. Tests only. */
import type { LOOKS } from './page-samples.ts'
import { PAGE_STATES } from './page-states.ts'

export interface Picture {
  /** In the list of states. */
  readonly index: number
  readonly name: string
  readonly look: keyof typeof LOOKS
  readonly scheme: 'light' | 'dark'
}

/** Shown in the dark, too, and in the looks of an operator. */
const EVERY_LOOK: ReadonlySet<string> = new Set([
  'denied: not in a group',
  'error: ERR_CLOCK_SKEW',
  'unavailable: ERR_DIRECTORY_UNAUTHORIZED',
])

export const PICTURES: readonly Picture[] = PAGE_STATES.flatMap(({ name, as }, index): readonly Picture[] => {
  if (as !== 'picture') return []
  const ours = { index, name, look: 'ours', scheme: 'light' } as const
  if (!EVERY_LOOK.has(name)) return [ours]
  return [ours, { ...ours, scheme: 'dark' }, { ...ours, look: 'branded' }, { ...ours, look: 'branded', scheme: 'dark' }]
})

/** `denied-not-in-a-group-branded-dark.webp`. */
export function pictureName({ name, look, scheme }: Picture): string {
  const words = name.replaceAll(/[^\w]+/g, '-').toLowerCase()
  return `${[words, ...(look === 'ours' ? [] : [look]), ...(scheme === 'light' ? [] : [scheme])].join('-')}.webp`
}

/** As docs/pages.md has them. */
export function pictureList(): string {
  const captions = new Set(PICTURES.map(({ name }) => name))
  return [...captions]
    .map((name) => {
      const shown = PICTURES.filter((picture) => picture.name === name)
      const images = shown.map((picture) => `![${altOf(picture)}](pages/${pictureName(picture)})`)
      return `### ${name}\n\n${images.join('\n')}\n`
    })
    .join('\n')
}

function altOf({ name, look, scheme }: Picture): string {
  return [
    name,
    ...(look === 'ours' ? [] : ['with a name and colours of an operator']),
    ...(scheme === 'dark' ? ['dark'] : []),
  ].join(', ')
}
