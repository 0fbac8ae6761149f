import { assertNever } from '../errors.ts'
import type { PathMatch } from '../config/route-model.ts'
import { createExpressions, type Expressions } from './expressions.ts'
import { type Accepts, firstOf, type Placed } from './placed.ts'
import { literalPrefix } from './regex.ts'

export interface PathIndex {
  /** In file order. */
  readonly routes: readonly Placed[]
  add(placed: Placed): void
  /** The first route in file order that `accepts` takes. @param path what `accepts` compares with the routes' paths. */
  find<Q>(path: string, accepts: Accepts<Q>, request: Q): Placed | undefined
}

/** So many routes are compared in turn faster than they are looked up. */
const FEW = 4

/**
 * A radix tree: what the texts of several routes begin with is there once. Of thousands of routes most are not in the
 * processor's caches when they are asked for, so that a node is small, and has no lists that are empty.
 */
interface Node {
  /** What follows the text of the node above. */
  readonly edge: string
  /** Routes of one path, which is the text down to here. */
  whole: Placed[] | undefined
  /** Routes whose paths all begin with the text down to here. */
  below: Placed[] | undefined
  /** Of these, the ones with an expression that says more. */
  expressions: Expressions | undefined
  /** The first characters of the edges of `next`, in their order. */
  firsts: string
  next: Node[] | undefined
}

/**
 * The routes of one host, found by the text with which all of their paths begin: a look-up passes over the path once,
 * however many routes there are.
 */
export function createPathIndex(): PathIndex {
  const routes: Placed[] = []
  let root = createNode('')
  return {
    routes,

    add(placed) {
      routes.push(placed)
      const { kind, text } = beginningOf(placed.route.match)
      const [top, node] = insert(root, text, 0)
      root = top
      if (kind === 'expression') (node.expressions ??= createExpressions()).add(placed)
      else (node[kind] ??= []).push(placed)
    },

    find(path, accepts, request) {
      if (routes.length <= FEW) return firstOf(routes, undefined, path, accepts, request)
      let best: Placed | undefined
      let node: Node | undefined = root
      let at = 0
      while (node !== undefined && path.startsWith(node.edge, at)) {
        at += node.edge.length
        if (node.below !== undefined) best = firstOf(node.below, best, path, accepts, request)
        if (node.expressions !== undefined) best = node.expressions.find(best, path, accepts, request)
        if (at === path.length) return node.whole ? firstOf(node.whole, best, path, accepts, request) : best
        node = nextOf(node, path, at)
      }
      return best
    },
  }
}

function createNode(edge: string): Node {
  return { edge, whole: undefined, below: undefined, expressions: undefined, firsts: '', next: undefined }
}

/** The node below whose edge begins as the text does at `at`. */
function nextOf({ firsts, next }: Node, text: string, at: number): Node | undefined {
  const place = firsts.indexOf(text.charAt(at))
  return place === -1 ? undefined : next?.[place]
}

/** In the place of the one whose edge begins alike, if there is one. */
function putBelow(node: Node, below: Node): void {
  const place = node.firsts.indexOf(below.edge.charAt(0))
  const next = (node.next ??= [])
  next[place === -1 ? next.length : place] = below
  node.firsts = next.map(({ edge }) => edge.charAt(0)).join('')
}

/** The node of a text, made where it is missing, and what stands at the top now: a node whose edge goes on elsewhere is parted. */
function insert(node: Node, text: string, from: number): readonly [top: Node, found: Node] {
  const { edge } = node
  let common = 0
  while (common < edge.length && edge[common] === text[from + common]) common++
  const at = from + common
  let top = node
  if (common < edge.length) {
    top = createNode(edge.slice(0, common))
    putBelow(top, { ...node, edge: edge.slice(common) })
  }
  if (at === text.length) return [top, top]
  const child = nextOf(top, text, at)
  const [below, found] = child ? insert(child, text, at) : leaf(text.slice(at))
  putBelow(top, below)
  return [top, found]
}

function leaf(edge: string): readonly [top: Node, found: Node] {
  const node = createNode(edge)
  return [node, node]
}

/** What every path of the route is, or begins with. */
function beginningOf(match: PathMatch): { readonly kind: 'whole' | 'below' | 'expression'; readonly text: string } {
  switch (match.kind) {
    case 'all':
      return { kind: 'below', text: '' }
    case 'path':
      return { kind: 'whole', text: match.path }
    case 'prefix':
      return { kind: 'below', text: match.prefix }
    case 'regex':
      return { kind: 'expression', text: literalPrefix(match.source).text }
    default:
      return assertNever(match)
  }
}
