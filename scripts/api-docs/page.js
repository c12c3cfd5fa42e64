// Renders TypeDoc's model of a package as one page of Markdown.
import { ReflectionKind } from 'typedoc';

const {
  Class,
  Interface,
  TypeAlias,
  Function: FunctionKind,
  Accessor,
  Property,
  Constructor,
  Method,
} = ReflectionKind;

/** The sections in their order on the page. */
const SECTIONS = [
  ['Classes', isClass],
  ['Functions', (one) => one.kindOf(FunctionKind)],
  ['Interfaces', (one) => one.kindOf(Interface) && !isClass(one)],
  ['Types', (one) => one.kindOf(TypeAlias)],
];

/** If only the type of a class is exported, TypeDoc treats the class as an interface with getters. */
function isClass(declaration) {
  const hasGetters = declaration.children?.some((child) => child.kindOf(Accessor));
  return declaration.kindOf(Class) || (declaration.kindOf(Interface) && hasGetters);
}

/**
 * Renders the page. `undocumented` lists the declarations without a comment.
 *
 * @param {import('typedoc').ProjectReflection} project
 * @returns {{ text: string, undocumented: string[] }}
 */
export function page(project, { title, intro }) {
  const undocumented = [];
  /** Returns the comment of a declaration, and records the declaration if it has none. */
  const commentOf = (declaration, comment = declaration.comment) => {
    const text = comment?.summary.map((part) => part.text).join('') ?? '';
    if (text.trim() === '') undocumented.push(declaration.getFullName());
    const thrown = (comment?.blockTags ?? [])
      .filter(({ tag }) => tag === '@throws')
      .map(({ content }) => `Throws ${sentence(content.map((part) => part.text).join(''))}`);
    return [text.trim(), ...thrown].join('\n\n');
  };

  const member = (declaration) => {
    const [signature] = declaration.signatures ?? [declaration.getSignature];
    const comment = signature?.comment ?? declaration.comment;
    return `#### ${headingOf(declaration)}\n\n${code(declarationOf(declaration))}\n\n${commentOf(declaration, comment)}`;
  };

  const whole = (declaration) => {
    const head = `### ${declaration.name}\n\n`;
    if (declaration.kindOf(TypeAlias)) {
      return `${head}${code(typeOf(declaration))}\n\n${commentOf(declaration)}${choices(declaration)}`;
    }
    if (declaration.kindOf(FunctionKind)) return member(declaration).replace('#', '');
    const extended = (declaration.extendedTypes ?? []).filter(({ name }) => name !== 'Emitter');
    const from = extended.length > 0 ? `\n\nExtends \`${extended.join('`, `')}\`.` : '';
    const members = (declaration.children ?? [])
      .filter((child) => child.kindOf([Constructor, Property, Accessor, Method]))
      .filter(({ flags, inheritedFrom }) => !flags.isExternal && !isOfPlatform(inheritedFrom));
    if (!isClass(declaration)) {
      const rows = members.map((child) => {
        const [signature] = child.signatures ?? [];
        return `| \`${headingOf(child)}\` | ${cell(`\`${memberType(child)}\``)} | ${cell(commentOf(child, signature?.comment ?? child.comment))} |`;
      });
      const table =
        rows.length > 0 ? `\n\n| member | type | |\n|---|---|---|\n${rows.join('\n')}` : '';
      return `${head}${commentOf(declaration)}${from}${table}`;
    }
    return [`${head}${commentOf(declaration)}${from}`, ...members.map(member)].join('\n\n');
  };

  const sections = SECTIONS.flatMap(([name, belongs]) => {
    const declarations = project.children.flatMap(({ children }) => children).filter(belongs);
    if (declarations.length === 0) return [];
    return [`## ${name}`, ...declarations.map(whole)];
  });
  return { text: `${[`# ${title}`, intro, ...sections].join('\n\n')}\n`, undocumented };
}

const code = (text) => `\`\`\`ts\n${text}\n\`\`\``;
const cell = (text) => text.replaceAll('|', '\\|').replace(/\s*\n\s*/g, ' ');
const sentence = (text) => text.trim().replace(/^CoupletError /, '`CoupletError`: ');
const isOfPlatform = (inherited) => inherited?.toString().startsWith('Error.') ?? false;

/** A destructured parameter has no name. The last one is called `options`; others are named after their type. */
const nameOf = ({ name, type }, isLast) => {
  if (name !== '__namedParameters') return name;
  return isLast ? 'options' : `${type}`[0].toLowerCase() + `${type}`.slice(1);
};
const isOptional = ({ flags, defaultValue }) => flags.isOptional || defaultValue !== undefined;
const parameters = ({ parameters: list = [] }) =>
  list
    .map((one, index) => {
      const name = nameOf(one, index === list.length - 1);
      const rest = one.flags.isRest ? '...' : '';
      return `${rest}${name}${isOptional(one) ? '?' : ''}: ${typeText(one.type)}`;
    })
    .join(', ');
const typeText = (type) =>
  type?.type === 'reflection' ? bodyOf(type.declaration) : `${type}`.replaceAll('"', "'");
const generics = ({ typeParameters: list = [] }) =>
  list.length === 0
    ? ''
    : `<${list.map(({ name, type }) => (type ? `${name} extends ${type}` : name)).join(', ')}>`;

function headingOf(declaration) {
  const [signature] = declaration.signatures ?? [];
  if (declaration.kindOf(Constructor)) return `new ${declaration.parent.name}(…)`;
  return signature ? `${declaration.name}()` : declaration.name;
}

function memberType(declaration) {
  const [signature] = declaration.signatures ?? [];
  if (signature) return `(${parameters(signature)}) => ${typeText(signature.type)}`;
  return `${typeText(declaration.type)}${isOptional(declaration) ? ' | undefined' : ''}`;
}

function declarationOf(declaration) {
  const [signature] = declaration.signatures ?? [];
  const before = declaration.flags.isStatic ? 'static ' : '';
  if (declaration.kindOf(Constructor))
    return `new ${declaration.parent.name}(${parameters(signature)})`;
  if (signature) {
    return `${before}${declaration.name}${generics(signature)}(${parameters(signature)}): ${typeText(signature.type)}`;
  }
  const type = declaration.getSignature?.type ?? declaration.type;
  const readonly =
    declaration.flags.isReadonly || (!declaration.setSignature && declaration.getSignature);
  return `${before}${readonly ? 'readonly ' : ''}${declaration.name}: ${typeText(type)}`;
}

function typeOf(declaration) {
  const members = declaration.type?.types ?? [];
  const text = typeText(declaration.type);
  const short = text.length <= 100 || members.length === 0;
  return `type ${declaration.name} = ${short ? text : `\n  | ${members.map(typeText).join('\n  | ')}`};`.replace(
    '= \n',
    '=\n',
  );
}

function bodyOf(declaration) {
  const [signature] = declaration.signatures ?? [];
  if (!signature) {
    const fields = (declaration.children ?? []).map(
      (child) => `${child.name}${child.flags.isOptional ? '?' : ''}: ${typeText(child.type)}`,
    );
    return `{ ${fields.join('; ')} }`;
  }
  const isNew = signature.kindOf(ReflectionKind.ConstructorSignature);
  return `${isNew ? 'new ' : ''}(${parameters(signature)}) => ${typeText(signature.type)}`;
}

/** Lists the literals of a union with their comments. */
function choices(declaration) {
  const summaries = declaration.type?.elementSummaries ?? [];
  const lines = summaries.flatMap((summary, index) => {
    const text = summary
      ?.map((part) => part.text)
      .join('')
      .trim();
    return text
      ? [`- \`${typeText(declaration.type.types[index])}\`: ${text.replace(/\s*\n\s*/g, ' ')}`]
      : [];
  });
  return lines.length > 0 ? `\n\n${lines.join('\n')}` : '';
}
