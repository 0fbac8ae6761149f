import { Document, isScalar, type Pair, type YAMLMap, type YAMLSeq } from 'yaml'
import type { Draft, Missing, RouteDraft, Written } from './draft.ts'

/** The draft as YAML, with a comment above each line that changed meaning and a list of what is missing. */
export function writeYaml({ globals, routes, missing }: Draft): string {
  const document = new Document({})
  const root = document.contents as unknown as YAMLMap
  for (const [key, written] of globals) root.add(pair(document, key, written))
  const items = routes.map((route) => routeNode(document, route))
  const list = document.createNode([]) as unknown as YAMLSeq
  for (const item of items) list.add(item)
  root.add(pair(document, 'routes', { value: list }))
  const head = comment(missing)
  if (head !== undefined) document.commentBefore = head
  return document.toString({ lineWidth: 0 })
}

function routeNode(document: Document, { keys, missing }: RouteDraft): YAMLMap {
  const node = document.createNode({}) as unknown as YAMLMap
  for (const [key, written] of keys) node.add(pair(document, key, written))
  const head = comment(missing)
  if (head !== undefined) node.commentBefore = head
  return node
}

function pair(document: Document, key: string, { value, comment: text }: Written): Pair {
  const made = document.createPair(key, value, { aliasDuplicateObjects: false }) as Pair
  // The key is a scalar because it was a string.
  if (text !== undefined && isScalar(made.key)) made.key.commentBefore = lines(text)
  return made
}

function comment(missing: readonly Missing[]): string | undefined {
  const text = [
    ...section('Not carried over:', missing, 'lost'),
    ...section('Not needed here:', missing, 'unneeded'),
  ].join('\n')
  return text === '' ? undefined : text
}

function section(title: string, missing: readonly Missing[], kind: Missing['kind']): readonly string[] {
  const chosen = missing.filter((each) => each.kind === kind)
  return chosen.length === 0 ? [] : [` ${title}`, ...chosen.map(({ key, message }) => lines(`  ${key}: ${message}`))]
}

/** No line of a comment may end it. */
function lines(text: string): string {
  return text
    .split(/[\r\n]+/)
    .map((line) => ` ${line}`)
    .join('\n')
}
