from rawlib import *
s=Raw(sys.argv[1])
def A(name,sh,dt="f4",lo=-2.5,hi=2.5):
    r=rng(name)
    if dt=="bool": return r.randint(0,2,sh).astype(bool)
    if dt[0]!="f": return r.randint(0 if dt[0]=="u" else -50,100,sh).astype(dt)
    return r.uniform(lo,hi,sh).astype(dt)
I=lambda *v: np.array(v,"i4")
def idx(*items): # (axis, begin, end, step, idx flags) 
    return [("param.IndexDescMaskDump",{"items":[dict(axis=a,begin=bool(b),end=bool(e),step=bool(st),idx=bool(i)) for a,b,e,st,i in items]})]
def getset(name,sh,items,idxs,dts=("f4",),vec=None,valshape=None,ops=None):
    """all of get/set/incr"""
    base=dict(none=("Subtensor","SetSubtensor","IncrSubtensor"),vec=("IndexingMultiAxisVec","IndexingSetMultiAxisVec","IndexingIncrMultiAxisVec"),mesh=("MeshIndexing","SetMeshIndexing","IncrMeshIndexing"),bmesh=("BatchedMeshIndexing","BatchedSetMeshIndexing","BatchedIncrMeshIndexing"))[vec or "none"]
    for dt in dts:
        c={"i%d"%k:np.array(v,"i4") for k,v in enumerate(idxs)}
        s.simple("%s_%s"%(name,dt),base[0],dict(x=A(name,sh,dt)),idx(*items),consts=c)
        if valshape is not None:
            for k,op in ((1,"set"),(2,"incr")):
                s.simple("%s_%s_%s"%(name,op,dt),base[k],dict(x=A(name,sh,dt),y=A(name+"y",valshape,dt)),idx(*items),consts=c)
B,EN,ST,IX=1,1,1,1
ALL=("f4","f2","i4","i1","u1","i2","bool","u2")
g="indexing/"
getset(g+"sub_basic",(4,5,6),[(0,1,1,0,0)],[[1],[3]],ALL,valshape=(2,5,6))
getset(g+"sub_neg",(4,5,6),[(1,1,1,1,0)],[[-1],[-5],[-2]],valshape=(4,2,6))
getset(g+"sub_negstep_all",(4,5,6),[(2,0,0,1,0)],[[-1]],valshape=(4,5,6))
getset(g+"sub_negstep_begin",(4,5,6),[(2,1,0,1,0)],[[3],[-2]],valshape=(4,5,2))
getset(g+"sub_idx",(4,5,6),[(1,0,0,0,1)],[[2]],ALL,valshape=(4,6))
getset(g+"sub_idxneg",(4,5,6),[(-1,0,0,0,1)],[[-2]],valshape=(4,5))
getset(g+"sub_allidx",(4,5,6),[(0,0,0,0,1),(1,0,0,0,1),(2,0,0,0,1)],[[2],[1],[-1]],valshape=(1,))
getset(g+"sub_mixed",(4,5,6),[(0,1,0,0,0),(1,0,0,0,1),(2,1,1,1,0)],[[1],[2],[5],[0],[-2]],valshape=(3,3))
getset(g+"sub_empty",(4,5,6),[(0,1,1,0,0)],[[3],[3]],valshape=(1,))
getset(g+"sub_over",(4,5,6),[(0,1,1,0,0)],[[2],[100]],valshape=(2,5,6))
getset(g+"sub_under",(4,5,6),[(0,1,1,0,0)],[[-100],[2]],valshape=(2,5,6))
getset(g+"sub_bcast",(4,5,6),[(0,1,1,0,0)],[[1],[3]],("f4","i4"),valshape=(1,))
getset(g+"sub_bcast2",(4,5,6),[(0,1,1,0,0)],[[1],[3]],valshape=(5,1))
getset(g+"sub_zero",(0,5),[(1,1,1,0,0)],[[1],[3]],valshape=(0,2))
getset(g+"sub_7d",(2,1,2,3,1,2,3),[(3,1,0,0,0),(6,0,0,1,0),(0,0,0,0,1)],[[1],[-1],[1]],valshape=(1,2,2,1,2,3))
getset(g+"sub_1d",(9,),[(0,1,1,1,0)],[[7],[1],[-3]],valshape=(2,))
getset(g+"sub_order",(4,5,6),[(2,1,0,0,0),(0,0,1,0,0)],[[2],[3]],valshape=(3,5,4))
# vectors
getset(g+"vec0",(4,5,6),[(0,0,0,0,1)],[[0,3,3,-1,2]],ALL,"vec",(5,5,6))
getset(g+"vec1",(4,5,6),[(1,0,0,0,1)],[[0,4,-5]],("f4","i4"),"vec",(4,3,6))
getset(g+"vec2",(4,5,6),[(2,0,0,0,1)],[[0,5,-6,1,1,1,1]],("f4",),"vec",(4,5,7))
getset(g+"vec_two",(4,5,6),[(0,0,0,0,1),(1,0,0,0,1)],[[0,3,2],[1,1,4]],("f4","i1"),"vec",(3,6))
getset(g+"vec_apart",(4,5,6),[(0,0,0,0,1),(2,0,0,0,1)],[[0,3,2],[1,1,4]],("f4",),"vec",(3,5))
getset(g+"vec_mid",(2,4,5,6),[(1,0,0,0,1),(2,0,0,0,1)],[[0,3,2],[1,1,4]],("f4",),"vec",(2,3,6))
getset(g+"vec_three",(4,5,6),[(0,0,0,0,1),(1,0,0,0,1),(2,0,0,0,1)],[[0,3,2,0],[1,1,4,1],[5,-1,0,5]],("f4","i4"),"vec",(4,))
getset(g+"vec_slice",(4,5,6),[(0,0,0,0,1),(1,1,1,0,0)],[[0,3,2],[1],[4]],("f4",),"vec",(3,3,6))
getset(g+"vec_slice2",(4,5,6),[(0,1,0,0,0),(2,0,0,0,1)],[[1],[0,3,2,5]],("f4",),"vec",(3,5,4))
getset(g+"vec_slicerev",(4,5,6),[(1,0,0,1,0),(2,0,0,0,1)],[[-2],[0,3,2,5]],("f4",),"vec",(4,3,4))
getset(g+"vec_bcast",(4,5,6),[(0,0,0,0,1),(1,0,0,0,1)],[[0,3,2],[1]],("f4",),"vec",(3,6))
getset(g+"vec_2d",(4,5,6),[(1,0,0,0,1)],[[[0,3,2],[1,1,0]]],("f4","u1"),"vec",(4,2,3,6))
getset(g+"vec_2dbc",(4,5,6),[(0,0,0,0,1),(2,0,0,0,1)],[[[0],[3]],[[1,1,0]]],("f4",),"vec",(2,3,5))
getset(g+"vec_val1",(4,5,6),[(0,0,0,0,1)],[[0,3,2]],("f4",),"vec",(1,))
getset(g+"vec_valb",(4,5,6),[(0,0,0,0,1)],[[0,3,3]],("f4",),"vec",(5,1))
getset(g+"vec_dup",(4,5),[(0,0,0,0,1)],[[1,1,1,1]],("f4","f2","i4","i1","u1"),"vec",(4,5))
getset(g+"vec_1elem",(7,),[(0,0,0,0,1)],[[3]],("f4",),"vec",(1,))
getset(g+"vec_emptyidx",(7,2),[(0,0,0,0,1)],[np.zeros((0,),"i4")],("f4",),"vec",(0,2))
getset(g+"vec_6d",(2,2,3,2,2,3),[(1,0,0,0,1),(2,0,0,0,1),(5,0,0,0,1)],[[0,1,1],[2,0,1],[1,2,0]],("f4",),"vec",(3,2,2,2))
getset(g+"vec_scalaridx",(4,5,6),[(0,0,0,0,1),(1,0,0,0,1)],[[0,3,2],[1]],("i4",),"vec",(3,6))
# mesh
getset(g+"mesh_02",(4,5,6),[(0,0,0,0,1),(2,0,0,0,1)],[[0,3,3],[1,-1]],ALL,"mesh",(3,5,2))
getset(g+"mesh_all",(4,5,6),[(0,0,0,0,1),(1,0,0,0,1),(2,0,0,0,1)],[[0,3],[4,0,1],[1,-1]],("f4","i4"),"mesh",(2,3,2))
getset(g+"mesh_slice",(4,5,6),[(0,0,0,0,1),(1,1,0,1,0)],[[0,3],[1],[2]],("f4",),"mesh",(2,2,6))
getset(g+"mesh_one",(4,5,6),[(1,0,0,0,1)],[[2]],("f4",),"mesh",(4,1,6))
getset(g+"mesh_bcval",(4,5,6),[(1,0,0,0,1)],[[2,2,0]],("f4",),"mesh",(1,3,1))
getset(g+"bmesh_1",(3,5,6),[(1,0,0,0,1)],[[[0,2],[1,-1],[4,4]]],ALL,"bmesh",(3,2,6))
getset(g+"bmesh_12",(3,5,6),[(1,0,0,0,1),(2,0,0,0,1)],[[[0,2],[1,-1],[4,4]],[[0,1,2],[3,3,3],[-1,-6,5]]],("f4","i4"),"bmesh",(3,2,3))
getset(g+"bmesh_2",(3,5,6),[(2,0,0,0,1)],[[[0,2],[1,-1],[4,4]]],("f4",),"bmesh",(3,5,2))
getset(g+"bmesh_slice",(3,5,6),[(1,0,0,0,1),(2,1,1,0,0)],[[[0,2],[1,-1],[4,4]],[1],[4]],("f4",),"bmesh",(3,2,3))
getset(g+"bmesh_slice0",(4,5,6),[(0,1,0,0,0),(1,0,0,0,1)],[[1],[[0,2],[1,-1],[4,4]]],("f4",),"bmesh",(3,2,6))
# bf16 incr / quantized get
s.simple(g+"vec_q8","IndexingMultiAxisVec",dict(x=A("q",(4,5))),idx((0,0,0,0,1)),consts=dict(i=I(0,3,1)),casts=dict(x=("QuantizedS8",.05)),out_cast="Float32")
s.simple(g+"sub_q8","Subtensor",dict(x=A("q",(4,5))),idx((0,1,0,0,0)),consts=dict(i=I(1)),casts=dict(x=("QuantizedS8",.05)),out_cast="Float32")
s.simple(g+"sub_bf16","Subtensor",dict(x=A("q",(4,5))),idx((0,1,0,0,0)),consts=dict(i=I(1)),casts=dict(x="BFloat16"),out_cast="Float32",tol=dict(rtol=1e-2,atol=1e-2))
for dt in ("f4","f2","i4","u1","i1","bool","i2"):
    for ax in (0,1,2,-1):
        sh=[4,5,6]; n=sh[ax]; ish=list(sh); del ish[ax]; vs=list(sh); vs[ax]=1
        ii=rng("oh%d"%ax).randint(0,n,ish).astype("i4")
        s.simple(g+"onehot_%s_%d"%(dt,ax),"IndexingOneHot",dict(x=A("oh",sh,dt),i=ii),[("param.Axis",{"axis":ax})])
        s.simple(g+"setonehot_%s_%d"%(dt,ax),"IndexingSetOneHot",dict(x=A("oh",sh,dt),i=ii,v=A("ohv",vs,dt)),[("param.Axis",{"axis":ax})])
s.simple(g+"onehot_1d","IndexingOneHot",dict(x=A("oh",(7,)),i=I(3)),[("param.Axis",{"axis":0})])
for dt in ("f4","i4","f2","u1"):
  for no in (True,False):
    mp=rng("rm").randint(0,4,(3,2,2)).astype("i4")
    s.simple(g+"remap_%s_%d"%(dt,no),"IndexingRemap",dict(x=A("rm",(4,5),dt),m=mp),[("param.IndexingRemap",{"is_non_overlapping":no})])
    s.simple(g+"remapb_%s_%d"%(dt,no),"IndexingRemapBackward",dict(d=A("rm",(3,2),dt),m=mp,x=A("rmx",(4,5),dt)),[("param.IndexingRemap",{"is_non_overlapping":no})])
    mp=rng("rm3").randint(0,2,(2,3,4,3)).astype("i4")
    s.simple(g+"remap3_%s_%d"%(dt,no),"IndexingRemap",dict(x=A("rm",(2,3,4),dt),m=mp),[("param.IndexingRemap",{"is_non_overlapping":no})])
for mode in "EQ NEQ LT LEQ GT GEQ".split():
    for dt in ("f4","f2","i4","i1","u1","bool","i2"):
        for val in (1.,0.,2.0000005):
            m=A("ctm",(3,7),dt) if dt!="bool" else A("ctm",(3,7),dt)
            if dt!="bool": m=rng("ctm").randint(0,4,(3,7)).astype(dt)
            for xd in ("f4","i4","u1","f2") if (dt=="f4" and val==1.) else ("f4",):
                s.simple("condtake/%s_%s_%g_%s"%(mode,dt,val,xd),"CondTake",dict(x=A("ctx",(3,7),xd),m=m),[("param.CondTake",{"mode":mode,"val":val})],n_out=2)
    e=np.array([1,1+1e-7,1+1e-6,1+5e-7,1+1e-5,1-1e-6,1-1e-5,1+9e-7,np.nan,np.inf,-np.inf,1.001],"f4")
    for eps in (1e-6,1e-3,0.,1e-5):
        s.simple("condtake/eps_%s_%g"%(mode,eps),"CondTake",dict(x=np.arange(12,dtype="f4"),m=e),[("param.CondTake",{"mode":mode,"val":1.,"eps":eps})],n_out=2)
        s.simple("condtake/inteps_%s_%g"%(mode,eps),"CondTake",dict(x=np.arange(4,dtype="f4"),m=np.array([0,1,2,1],"i4")),[("param.CondTake",{"mode":mode,"val":1.0004,"eps":eps})],n_out=2)
    s.simple("condtake/inf_%s"%mode,"CondTake",dict(x=np.arange(12,dtype="f4"),m=e),[("param.CondTake",{"mode":mode,"val":float("inf")})],n_out=2)
    s.simple("condtake/none_%s"%mode,"CondTake",dict(x=np.arange(12,dtype="f4"),m=np.full(12,5,"f4")),[("param.CondTake",{"mode":mode,"val":1.})],n_out=2)
    s.simple("condtake/scalar_%s"%mode,"CondTake",dict(x=A("c",(1,)),m=np.ones(1,"f4")),[("param.CondTake",{"mode":mode,"val":1.})],n_out=2)
    s.simple("condtake/empty_%s"%mode,"CondTake",dict(x=A("c",(0,3)),m=np.ones((0,3),"f4")),[("param.CondTake",{"mode":mode,"val":1.})],n_out=2)
# sort
for dt in ("f4","f2","i4","i1","u1","i2","bool"):
    for od in ("ASCENDING","DESCENDING"):
        s.simple("sort/argsort_%s_%s"%(dt,od),"Argsort",dict(x=A("so",(3,9),dt)),[("param.Argsort",{"order":od})],n_out=2)
    for k in (1,3,9,-1,-4,-9,20,-20):
        for md in ("KTH_ONLY","VALUE_IDX_NOSORT","VALUE_IDX_SORTED"):
            s.simple("sort/topk_%s_%d_%s"%(dt,k,md),"TopK",dict(x=A("so",(3,9),dt)),[("param.TopK",{"mode":md})],n_out=1 if md[0]=="K" else 2,outs=(0,) ,consts=dict(k=I(k)))
t=rng("ties").randint(0,3,(4,40)).astype("f4")
tn=A("tn",(3,9)); tn[0,3]=np.nan; tn[1,0]=np.nan; tn[1,8]=np.nan; tn[2,4]=np.inf; tn[2,5]=-np.inf
for nm,x in (("ties",t),("tiesi",t.astype("i4")),("nan",tn),("zeros",np.array([[0.,-0.,0.,-0.]],"f4")),("small",np.array([[2,2,1,1,3,3]],"f4"))):
    for od in ("ASCENDING","DESCENDING"): s.simple("sort/argsort_%s_%s"%(nm,od),"Argsort",dict(x=x),[("param.Argsort",{"order":od})],n_out=2)
    for k in (2,-2,5,-5):
        for md in ("KTH_ONLY","VALUE_IDX_NOSORT","VALUE_IDX_SORTED"):
            s.simple("sort/topk_%s_%d_%s"%(nm,k,md),"TopK",dict(x=x),[("param.TopK",{"mode":md})],n_out=1 if md[0]=="K" else 2,consts=dict(k=I(k)))
for sh in ((1,1),(1,7),(7,1),(0,3),(2,3000),(5,)):
    for od in ("ASCENDING","DESCENDING"): s.simple("sort/argsort_sh%s_%s"%("x".join(map(str,sh)),od),"Argsort",dict(x=A("sh",sh)),[("param.Argsort",{"order":od})],n_out=2)
    for k in (1,-1,5): s.simple("sort/topk_sh%s_%d"%("x".join(map(str,sh)),k),"TopK",dict(x=A("sh",sh)),[("param.TopK",{"mode":"VALUE_IDX_SORTED"})],n_out=2,consts=dict(k=I(k)))
for dt in ("f4","f2","i4"):
    ii=np.stack([rng("ab%d"%k).permutation(9) for k in range(3)]).astype("i4")
    s.simple("sort/argsortb_%s"%dt,"ArgsortBackward",dict(d=A("ab",(3,9),dt),i=ii,x=A("abx",(3,9),dt)),[E])
    s.simple("sort/argsortb4_%s"%dt,"ArgsortBackward",dict(d=A("ab",(3,4),dt),i=ii[:,:4].copy(),x=A("abx",(3,9),dt)),[E])
for iou in (.1,.5,.9):
    for mx in (3,100):
        for b in (1,2):
            p=rng("nms").uniform(0,10,(b,30,2)); bx=np.concatenate([p,p+rng("nms2").uniform(1,6,(b,30,2))],2).astype("f4")
            s.simple("sort/nms_%g_%d_%d"%(iou,mx,b),"NMSKeepMGB",dict(b=bx),[("param.NMSKeep",{"iou_thresh":iou,"max_output":mx})],n_out=2,outs=(1,))
s.write()
