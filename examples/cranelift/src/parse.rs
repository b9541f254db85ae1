// SPDX-License-Identifier: Apache-2.0
//! Tokens to a syntax tree, by recursive descent.

use crate::lex::{error, Error, Kind, Token};

/// A name as it stands in the source.
#[derive(Clone, Debug)]
pub struct Name {
    pub text: String,
    pub at: usize,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Color {
    Plain,
    Async,
    Iter,
    Closure,
}

#[derive(Debug)]
pub struct Function {
    pub color: Color,
    pub name: Name,
    pub params: Vec<Name>,
    pub body: Vec<Stmt>,
}

#[derive(Debug)]
pub enum Stmt {
    Let(Name, Expr),
    Assign(Name, Expr),
    If(Expr, Vec<Stmt>, Vec<Stmt>),
    While(Expr, Vec<Stmt>),
    For(Name, Call, Vec<Stmt>),
    Scope(usize, Vec<Stmt>),
    Try(Vec<Stmt>, Vec<Stmt>),
    Return(Option<Expr>),
    Yield(usize, Expr),
    Expr(Expr),
}

#[derive(Debug)]
pub struct Call {
    pub callee: Name,
    pub args: Vec<Expr>,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Op {
    Add,
    Sub,
    Mul,
    Div,
    Rem,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Equal,
    NotEqual,
    And,
    Or,
}

#[derive(Debug)]
pub struct Expr {
    pub at: usize,
    pub kind: ExprKind,
}

#[derive(Debug)]
pub enum ExprKind {
    Number(i64),
    Variable(Name),
    Negate(Box<Expr>),
    Not(Box<Expr>),
    Binary(Op, Box<Expr>, Box<Expr>),
    Call(Call),
    Await(Box<Expr>),
    Spawn(Call),
    Closure(Function),
}

/// Binary operators from the loosest to the tightest level.
const LEVELS: [&[(&str, Op)]; 6] = [
    &[("||", Op::Or)],
    &[("&&", Op::And)],
    &[("==", Op::Equal), ("!=", Op::NotEqual)],
    &[("<", Op::Less), ("<=", Op::LessEqual), (">", Op::Greater), (">=", Op::GreaterEqual)],
    &[("+", Op::Add), ("-", Op::Sub)],
    &[("*", Op::Mul), ("/", Op::Div), ("%", Op::Rem)],
];

/// The greatest depth of a tree: each walk over it recurses as deep.
const DEPTH_MAX: usize = 1000;

struct Parser<'a> {
    tokens: Vec<Token<'a>>,
    next: usize,
    depth: usize,
}

/// The functions of a program.
pub fn parse(tokens: Vec<Token>) -> Result<Vec<Function>, Error> {
    let mut parser = Parser { tokens, next: 0, depth: 0 };
    let mut functions = Vec::new();
    while parser.peek().kind != Kind::End {
        functions.push(parser.function()?);
    }
    Ok(functions)
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Token<'a> {
        self.tokens[self.next]
    }

    fn advance(&mut self) -> Token<'a> {
        let token = self.peek();
        self.next = (self.next + 1).min(self.tokens.len() - 1);
        token
    }

    fn is(&self, sign: &str) -> bool {
        self.peek().kind == Kind::Sign && self.peek().text == sign
    }

    fn accept(&mut self, sign: &str) -> bool {
        let is = self.is(sign);
        if is {
            self.advance();
        }
        is
    }

    fn wrong<T>(&self, expected: &str) -> Result<T, Error> {
        error(self.peek().at, format!("expected {expected}, found {}", self.peek().describe()))
    }

    fn expect(&mut self, sign: &str, place: &str) -> Result<(), Error> {
        if self.accept(sign) {
            Ok(())
        } else {
            self.wrong(&format!("`{sign}` {place}"))
        }
    }

    fn name(&mut self, what: &str) -> Result<Name, Error> {
        if self.peek().kind != Kind::Name {
            return self.wrong(what);
        }
        let token = self.advance();
        Ok(Name { text: token.text.into(), at: token.at })
    }

    fn list<T>(&mut self, end: &str, mut item: impl FnMut(&mut Self) -> Result<T, Error>) -> Result<Vec<T>, Error> {
        let mut items = Vec::new();
        while !self.is(end) {
            items.push(item(self)?);
            if !self.accept(",") {
                break;
            }
        }
        self.expect(end, "or `,` after an element of the list")?;
        Ok(items)
    }

    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return error(self.peek().at, format!("expected at most {DEPTH_MAX} levels of nesting"));
        }
        let result = parse(self);
        self.depth -= 1;
        result
    }

    fn function(&mut self) -> Result<Function, Error> {
        let is_async = self.accept("async");
        let color = if is_async && self.accept("iter") {
            Color::Iter
        } else if !self.accept("fn") {
            return self.wrong(if is_async {
                "`fn` or `iter` after `async`"
            } else {
                "`fn`, `async fn` or `async iter`"
            });
        } else if is_async {
            Color::Async
        } else {
            Color::Plain
        };
        let name = self.name("the function's name")?;
        self.expect("(", "before the parameters")?;
        let params = self.list(")", |parser| parser.name("a parameter's name"))?;
        let body = self.block()?;
        Ok(Function { color, name, params, body })
    }

    fn block(&mut self) -> Result<Vec<Stmt>, Error> {
        self.expect("{", "before a block")?;
        let mut body = Vec::new();
        while !self.accept("}") {
            if self.peek().kind == Kind::End {
                return self.wrong("`}` at the end of the block");
            }
            body.push(self.nested(Self::statement)?);
        }
        Ok(body)
    }

    fn statement(&mut self) -> Result<Stmt, Error> {
        let first = self.peek();
        if self.accept("if") {
            let condition = self.expr()?;
            let then = self.block()?;
            let otherwise = match (self.accept("else"), self.is("if")) {
                (true, true) => vec![self.nested(Self::statement)?],
                (true, false) => self.block()?,
                _ => Vec::new(),
            };
            return Ok(Stmt::If(condition, then, otherwise));
        }
        if self.accept("while") {
            return Ok(Stmt::While(self.expr()?, self.block()?));
        }
        if self.accept("scope") {
            return Ok(Stmt::Scope(first.at, self.block()?));
        }
        if self.accept("try") {
            let body = self.block()?;
            self.expect("finally", "after the block of `try`")?;
            return Ok(Stmt::Try(body, self.block()?));
        }
        if self.accept("for") {
            let item = self.name("the name of the loop's variable")?;
            self.expect("in", "after the loop's variable")?;
            let callee = self.name("a call of an async iterator")?;
            self.expect("(", "after the iterator's name")?;
            let args = self.list(")", Self::expr)?;
            return Ok(Stmt::For(item, Call { callee, args }, self.block()?));
        }
        let statement = if self.accept("let") {
            let name = self.name("a variable's name")?;
            self.expect("=", "after the variable's name")?;
            Stmt::Let(name, self.expr()?)
        } else if self.accept("return") {
            Stmt::Return(if self.is(";") { None } else { Some(self.expr()?) })
        } else if self.accept("yield") {
            Stmt::Yield(first.at, self.expr()?)
        } else {
            let expr = self.expr()?;
            match expr.kind {
                ExprKind::Variable(name) if self.accept("=") => Stmt::Assign(name, self.expr()?),
                kind => Stmt::Expr(Expr { kind, ..expr }),
            }
        };
        self.expect(";", "after the statement")?;
        Ok(statement)
    }

    fn expr(&mut self) -> Result<Expr, Error> {
        self.nested(|parser| parser.binary(0))
    }

    fn binary(&mut self, level: usize) -> Result<Expr, Error> {
        if level == LEVELS.len() {
            return self.unary();
        }
        let mut left = self.binary(level + 1)?;
        let depth = self.depth;
        while let Some((sign, op)) = LEVELS[level].iter().find(|(sign, _)| self.is(sign)) {
            // A chain is a tree that is as deep as the chain is long.
            let at = self.peek().at;
            self.depth += 1;
            if self.depth > DEPTH_MAX {
                return error(at, format!("expected at most {DEPTH_MAX} levels of nesting"));
            }
            self.accept(sign);
            let right = self.binary(level + 1)?;
            left = Expr { at, kind: ExprKind::Binary(*op, Box::new(left), Box::new(right)) };
        }
        self.depth = depth;
        Ok(left)
    }

    fn unary(&mut self) -> Result<Expr, Error> {
        let at = self.peek().at;
        if self.accept("-") {
            // The one number that has no positive counterpart.
            if self.peek().text == "9223372036854775808" {
                self.advance();
                return Ok(Expr { at, kind: ExprKind::Number(i64::MIN) });
            }
            return Ok(Expr { at, kind: ExprKind::Negate(Box::new(self.nested(Self::unary)?)) });
        }
        if self.accept("!") {
            return Ok(Expr { at, kind: ExprKind::Not(Box::new(self.nested(Self::unary)?)) });
        }
        if self.accept("spawn") {
            let callee = self.name("a call of an async function after `spawn`")?;
            self.expect("(", "after what is spawned")?;
            let args = self.list(")", Self::expr)?;
            return Ok(Expr { at, kind: ExprKind::Spawn(Call { callee, args }) });
        }
        let mut expr = self.primary()?;
        let depth = self.depth;
        while self.is(".") {
            let at = self.advance().at;
            self.expect("await", "after `.`")?;
            self.depth += 1;
            expr = self.nested(|_| Ok(Expr { at, kind: ExprKind::Await(Box::new(expr)) }))?;
        }
        self.depth = depth;
        Ok(expr)
    }

    fn primary(&mut self) -> Result<Expr, Error> {
        let token = self.peek();
        let at = token.at;
        if token.kind == Kind::Number {
            self.advance();
            return match token.text.parse() {
                Ok(number) => Ok(Expr { at, kind: ExprKind::Number(number) }),
                Err(_) => error(at, format!("expected a number up to {}, found `{}`", i64::MAX, token.text)),
            };
        }
        if token.kind == Kind::Name {
            let callee = self.name("a name")?;
            if !self.accept("(") {
                return Ok(Expr { at, kind: ExprKind::Variable(callee) });
            }
            let args = self.list(")", Self::expr)?;
            return Ok(Expr { at, kind: ExprKind::Call(Call { callee, args }) });
        }
        if self.accept("(") {
            let expr = self.expr()?;
            self.expect(")", "after the expression")?;
            return Ok(expr);
        }
        if self.accept("async") {
            let params = if self.accept("||") {
                Vec::new()
            } else {
                self.expect("|", "before the closure's parameters")?;
                self.list("|", |parser| parser.name("a parameter's name"))?
            };
            let name = Name { text: "async ||".into(), at };
            let body = self.block()?;
            return Ok(Expr { at, kind: ExprKind::Closure(Function { color: Color::Closure, name, params, body }) });
        }
        self.wrong("an expression")
    }
}
