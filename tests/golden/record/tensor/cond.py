from rawlib import *
s=Raw(sys.argv[1])
A=lambda n,sh: rng(n).uniform(-1,1,sh).astype("f4")
def el(m,mode,*a): return m.op("Elemwise",list(a),[("param.Elemwise",dict(mode=mode))])[0]
def pred(m,p,keys,mode,dt="f4",**k): 
    n=len(keys)+(mode!="CASE")
    return m.op("CondExecPred",[m.const(np.array([x],dt)) for x in keys]+[p],[("param.CondExecPred",dict(mode=mode,**k))],n_out=n)
def mark(m,ppv,*x,**k): return m.op("CondExecMark",list(x)+[ppv],[("param.CondExecMark",k)],n_out=len(x))
def merge(m,ins,n=1,mode="EXACT_ONE",extra=()): return m.op("CondExecMerge",list(ins)+list(extra),[("param.CondExecMerge",dict(nr_output=n,mode=mode))],n_out=n)
MODES=["NEGATE","EXP","ABS","SIN"]
for mode in ("CASE","CASE_FALLBACK","PIECEWISE"):
    for dt in ("f4","i4"):
        for pv in (-1,0,1,2,5) if dt=="i4" else (-1.,0.,1.00005,1.,.5,2.,7.):
            def b(m,v):
                ps=pred(m,v["p"],[0,1,2],mode,dt)
                return merge(m,[el(m,MODES[i%4],mark(m,q,v["x"])[0]) for i,q in enumerate(ps)])
            s.case("cond/%s_%s_%g"%(mode,dt,pv),b,dict(p=np.array([pv],dt),x=A("x",(2,3))))
# same shape merging, two outputs
for pv in (0,1):
    def b(m,v):
        ps=pred(m,v["p"],[0,1],"CASE"); r=[]
        for i,q in enumerate(ps):
            a,c=mark(m,q,v["x"],v["y"]); r+=[el(m,"MUL",a,c),el(m,MODES[i],a)]
        return merge(m,r,2,"EXACT_ONE_SAME_SHAPE")
    s.case("cond/two_%d"%pv,b,dict(p=np.array([pv],"f4"),x=A("x",(2,3)),y=A("y",(2,3))))
# different shapes per branch
for pv in (0,1):
    def b(m,v):
        ps=pred(m,v["p"],[0,1],"CASE")
        a,=mark(m,ps[0],v["x"]); c,=mark(m,ps[1],v["x"])
        c=m.op("Dimshuffle",[c],[("param.Dimshuffle",{"pattern":[1,0],"ndim":2})])[0]
        return merge(m,[a,c])
    s.case("cond/shapes_%d"%pv,b,dict(p=np.array([pv],"f4"),x=A("x",(2,3))))
# sums over overlapping conditions
for pv in (0,1,2,9):
    for mode in ("SUM","SUM_COND_OUT"):
        def b(m,v):
            p=pred(m,v["p"],[0,1,2],"CASE")
            o=lambda *q: m.op("CondExecPredLogical",list(q),[("param.CondExecPredLogical",{"mode":"OR"})])[0]
            br=[mark(m,o(p[0],p[1]),v["x"])[0],mark(m,o(p[1],p[2]),v["y"])[0],mark(m,p[1],v["x"])[0]]
            r=merge(m,br,1,mode,extra=[m.const(np.array([2,3],"i4"))] if mode=="SUM" else [o(o(p[0],p[1]),o(p[1],p[2]),p[1])])
            if mode=="SUM_COND_OUT":
                q=o(o(p[0],p[1]),o(p[1],p[2]),p[1]); n=m.op("CondExecPredLogical",[q],[("param.CondExecPredLogical",{"mode":"NOR"})])[0]
                r=merge(m,[r[0],mark(m,n,v["y"])[0]])
            return r
        s.case("cond/%s_%g"%(mode,pv),b,dict(p=np.array([pv],"f4"),x=A("x",(2,3)),y=A("y",(2,3))))
for lm in ("OR","AND","XOR","NOR","NAND","XNOR"):
    for pv in (0,1,2):
        def b(m,v):
            p=pred(m,v["p"],[0,1],"CASE"); q=pred(m,v["p"],[1,2],"CASE")
            t=m.op("CondExecPredLogical",[p[1],q[0]],[("param.CondExecPredLogical",{"mode":lm})])[0]
            n=m.op("CondExecPredLogical",[t],[("param.CondExecPredLogical",{"mode":"NOR"})])[0]
            return merge(m,[el(m,"NEGATE",mark(m,t,v["x"])[0]),el(m,"EXP",mark(m,n,v["x"])[0])])
        s.case("cond/logical_%s_%d"%(lm,pv),b,dict(p=np.array([pv],"f4"),x=A("x",(2,3))))
# nested; computed predicate
for pv in (0,1):
    for qv in (0,1):
        def b(m,v):
            p=pred(m,v["p"],[0,1],"CASE")
            a,qq=mark(m,p[0],v["x"],v["q"])
            r=pred(m,qq,[0,1],"CASE")
            inner=merge(m,[el(m,"EXP",mark(m,r[0],a)[0]),el(m,"SIN",mark(m,r[1],a)[0])])[0]
            return merge(m,[inner,el(m,"NEGATE",mark(m,p[1],v["x"])[0])])
        s.case("cond/nested_%d%d"%(pv,qv),b,dict(p=np.array([pv],"f4"),q=np.array([qv],"f4"),x=A("x",(2,3))))
for k in (0,1):
    def b(m,v):
        r=m.op("Reduce",[v["x"]],[("param.Reduce",{"mode":"SUM"})] ,) if 0 else m.op("Reduce",[v["x"],m.const(np.array([1],"i4"))],[("param.Reduce",{"mode":"MAX"})])[0]
        p=pred(m,r,[0.5],"PIECEWISE")
        return merge(m,[el(m,"NEGATE",mark(m,p[0],v["x"])[0]),el(m,"EXP",mark(m,p[1],v["x"])[0])])
    s.case("cond/computed_%d"%k,b,dict(x=A("xc",(2,3))*.4+k))
def none(m,v):
    p=pred(m,v["p"],[0,1],"CASE"); return merge(m,[mark(m,q,v["x"])[0] for q in p])
s.case("cond/err_none",none,dict(p=np.array([7],"f4"),x=A("x",(2,3))))
if 0:
  def absent(m,v):
    p=pred(m,v["p"],[0,1],"CASE"); return [el(m,"EXP",mark(m,p[0],v["x"])[0])]
  s.case("cond/err_absent",absent,dict(p=np.array([7],"f4"),x=A("x",(2,3))))
def ifneed(m,v):
    p=pred(m,v["p"],[0,1],"CASE"); a=mark(m,p[0],v["x"])[0]
    y=m.op("CondExecMarkIfNeed",[a,v["y"]],[("param.CondExecMark",{})])[0]
    return merge(m,[el(m,"NEGATE",y),mark(m,p[1],v["x"])[0]])
s.case("cond/ifneed",ifneed,dict(p=np.array([0],"f4"),x=A("x",(2,3)),y=A("y",(2,3))))
def ifneed2(m,v): return [el(m,"NEGATE",m.op("CondExecMarkIfNeed",[v["x"],v["y"]],[("param.CondExecMark",{})])[0])]
s.case("cond/ifneed2",ifneed2,dict(x=A("x",(2,3)),y=A("y",(2,3))))
# AffineInt, VirtualGrad
for dt in ("i1","i2","i4","u1"):
    s.simple("affineint/"+dt,"AffineInt",dict(x=rng(dt).randint(0 if dt=="u1" else -100,100,(3,5)).astype(dt),k=A("k",(3,5)),b=A("b",(3,5))),[E])
s.simple("affineint/bc","AffineInt",dict(x=rng("z").randint(-100,100,(3,5)).astype("i2"),k=A("k",(1,5)),b=A("b",(1,))),[E])
for md in ("EXP","SIN","SIGMOID","SQUARE","LOG","TANH"):
    def vg(m,v):
        y=el(m,md,v["x"]); l=m.op("Reduce",[y,m.const(np.array([1],"i4"))],[("param.Reduce",{"mode":"SUM"})])[0]
        g=m.op("VirtualGrad",[l,v["x"]],[E])[0]
        return [l,g,el(m,"ADD",g,v["x"])]
    s.case("virtualgrad/"+md,vg,dict(x=np.abs(A("vg",(2,3)))+.2))
def vg(m,v):
    y=m.op("MatrixMul",[v["x"],v["w"]],[("param.MatrixMul",{}),POL])[0]; y=el(m,"TANH",el(m,"ADD",y,v["b"])); l=m.op("Reduce",[y,m.const(np.array([1],"i4"))],[("param.Reduce",{"mode":"MEAN"})])[0]
    return [m.op("VirtualGrad",[l,v[k]],[E])[0] for k in ("x","w","b")]
s.case("virtualgrad/mlp",vg,dict(x=A("vx",(3,4)),w=A("vw",(4,5)),b=A("vb",(1,5))))
def vg0(m,v): 
    l=m.op("Reduce",[v["x"],m.const(np.array([1],"i4"))],[("param.Reduce",{"mode":"SUM"})])[0]
    return [m.op("VirtualGrad",[l,v["w"]],[E])[0]]
s.case("virtualgrad/none",vg0,dict(x=A("vx",(3,4)),w=A("vw",(4,5))))
s.write()
